"""Files that are made to cost much: each is of at most 1 MiB, but for what says otherwise."""

MIB = 1 << 20
STEP = "steps: [{run: x}]\n"
STEPS = "name: x\nsteps:\n"


def filled(head, piece, tail="", most=MIB):
    """A text between head and tail, of as many pieces as a file holds."""
    parts, size = [head], len(head.encode()) + len(tail.encode())
    for number in range(most):
        part = piece(number)
        size += len(part.encode())
        if size > MIB:
            break
        parts.append(part)
    return "".join((*parts, tail))


def many(piece, times=16):
    """Steps of about 64 KiB each."""
    return STEPS + "".join(piece(number) for number in range(times))


SCRIPTS = {
    "interpolations": filled("name: x\nsteps:\n- command: [x,", lambda i: f'"{{{{{i}}}}}",', "]\n"),
    "conditions": many(lambda j: f"- run: x\n  if: '[{'1,' * 32_000}{j}]'\n"),
    "wrong names": many(lambda j: f"- run: x\n  if: '[{'a,' * 32_000}{j}]'\n"),
    "misspelled params": many(lambda j: f"- run: x\n  if: '[{'params.alpa,' * 5000}{j}]'\n") + "params: {alpha: 1}\n",
    "subtractions": many(lambda j: f"- run: x\n  if: a{'-a' * 32_000}{j}\n"),
    "sums without an end": many(lambda j: f"- run: x\n  if: {'1+' * 32_000}{j}\n"),
    "wrong names on each line": many(lambda j: "- run: |\n" + f"    {{{{ b }}}}{j}\n" * 4500, 15),
    "wrong names in quotes": many(lambda j: '- run: "' + f"{{{{ b }}}}{j}\\n" * 4500 + '"\n', 15),
    "wrong names on one line": "name: x\nsteps: ["
    + "".join("{run: '" + "{{ b }}" * 8000 + f"{j}'}}," for j in range(16))
    + "]\n",
    "single quotes": many(lambda j: "- run: |\n" + "    echo '{{ run.id }}'\n" * 2500 + f"    # {j}\n"),
    "Python's quotes": many(
        lambda j: "- run: |\n" + "    x = '{{ run.id }}'\n" * 2500 + f"    # {j}\n  shell: python\n"
    ),
    "wrong filters": filled(STEPS, lambda i: f"- {{id: s{i}, run: '{{{{ run.id | lengthy{i} }}}}'}}\n", most=10_000),
}
IMAGES = "".join(f"- {{run: x, image: 'a:{i}'}}\n" for i in range(10_000))
REPEATED = {
    "variables of defaults": "name: x\ndefaults: {env: {" + "".join(f"A{i}: x," for i in range(50_000)) + "}}\n"
    "steps:\n" + "- {run: x, env: {A: b}}\n" * 10_000,
    "wrong names in defaults": "name: x\ndefaults: {env: {" + "".join(f"A{i}: '{{{{ bogus }}}}'," for i in range(500)) + "}}\nsteps:\n" + "- run: x\n" * 10_000,
    "steps in defaults": "name: x\ndefaults: {if: '[" + "".join(f"steps.s{i}," for i in range(4000)) + "]'}\nsteps:\n"
    + "".join(f"- {{id: s{i}, run: x}}\n" for i in range(10_000)),
    "unknown keys of defaults": "name: x\ndefaults: {" + "".join(f"a{i}: 1," for i in range(80_000)) + "}\nsteps:\n"
    + "- run: x\n" * 10_000,
    "options of defaults": "name: x\ndefaults: {container: {options: [" + "--rm," * 100_000 + "]}}\nsteps:\n" + IMAGES,
    "volumes of defaults": "name: x\ndefaults: {container: {volumes: [" + "".join(f"'v{i}:x'," for i in range(30_000)) + "]}}\nsteps:\n" + IMAGES,
    "env of a default container": "name: x\ndefaults: {container: {env: {" + "".join(f"DAGNATS_{i}: x," for i in range(30_000)) + "}}}\nsteps:\n" + IMAGES,
    "long image by alias": "name: x\nx-a: &a '" + "a" * 600_000 + "'\nsteps:\n"
    + "- {run: x, container: {image: *a, user: *a, memory: *a, network: *a, entrypoint: *a, volumes: [*a], options: [*a]}}\n" * 3500,
    "long word by alias": "name: x\nx-a: &a '" + "a" * 600_000 + "'\nsteps:\n" + "- {command: [x, *a]}\n" * 9000 + "- {run: x, timeout: 0s}\n",
    "long path in defaults": "name: x\ndefaults: {working_dir: '" + "../" * 60_000 + "'}\nsteps:\n" + "- run: x\n" * 10_000,
    "long duration in defaults": "name: x\ndefaults: {timeout: '" + "1s" * 100_000 + "'}\nsteps:\n" + "- run: x\n" * 10_000,
    "long name in defaults": "name: x\ndefaults: {name: '" + "a" * 600_000 + "'}\nsteps:\n" + "- run: x\n" * 10_000,
    "long digits by alias": "name: x\nx-a: &a '" + "1" * 700_000 + "'\nsteps:\n"
    + "- {run: x, timeout: *a, allow_failure: *a}\n" * 5000,
    "long default by alias": "name: x\nx-a: &a '" + "a" * 600_000 + "'\nparams:\n"
    + "".join(f"  p{i}: {{default: *a, enum: [b]}}\n" for i in range(10_000)) + STEP,
    "vars by alias": "name: x\nx-a: &a '" + "{{ params.a }}\n\n" * 4000 + "'\nvars:\n"
    + "".join(f"  v{i}: *a\n" for i in range(20_000)) + STEP,
}  # fmt: skip
MISSPELLED = "{}- run: '{{{{params.p" + "acb" * 12 + "{}}}}}'\n"
NEAR = {
    "needs": filled(
        STEPS, lambda i: f"- {{id: s{'e' * 30}{i}, needs: [s{'e' * 31}{i}], run: x}}\n", most=10_000
    ),
    "needs of other order": filled(
        STEPS,
        lambda i: f"- {{id: s{'eab' * 18}{i:05d}, run: x}}\n" if i < 7000 else f"- {{needs: [s{'eba' * 18}{i:05d}], run: x}}\n",
        most=10_000,
    ),
    "params": filled("name: x\nparams:\n", lambda i: f"  p{'abc' * 12}{i}: 1\n" if i < 10_000 else MISSPELLED.format("" if i > 10_000 else "steps:\n", i)),
    "keys": filled("name: x\n", lambda i: f"descriptio{i:050d}: 1\n", STEP),
}  # fmt: skip
OTHERS = {
    "same ids": STEPS + "- {id: a, run: x}\n" * 10_000,
    "100,000 steps": STEPS + "- run: x\n" * 100_000,
    "needs without a step": filled("name: x\nsteps:\n- run: x\n  needs: [", lambda _: "{},", "]\n"),
    "needs again and again": "name: x\nsteps:\n- {id: a, run: x}\n- {run: x, needs: [" + "a," * 500_000 + "]}\n",
    "unknown needs": "name: x\nsteps:\n- {run: x, needs: [" + "".join(f"t{i}," for i in range(130_000)) + "]}\n",
    "nested defaults": filled("name: x\nparams:\n", lambda i: f"  p{i}: {'[' * 28}1{']' * 28}\n", STEP),
    "error after a long line": "name: x\nx-a: [" + "1," * 490_000 + "}\n",
    "error after wide characters": "name: x\ndescription: '" + "漢" * 340_000 + "'\nstep: []\n",
    "condition of 1 MiB": "name: x\nsteps:\n- run: x\n  if: " + "true and " * 110_000 + "true\n",
    "dense cycles": filled(
        STEPS,
        lambda i: f"- {{id: s{i}, needs: [{','.join(f's{j}' for j in range(max(0, i - 50), min(i + 50, 1700)) if j != i)}], run: x}}\n",
        most=1700,
    ),
}  # fmt: skip
STEPS_OF_THOUSANDS = "steps:\n" + "- run: x\n" * 10_000
MATRIX = "name: x\nsteps:\n- run: x\n  matrix: {"
BITS = "".join(f"a{i}: [0,1]," for i in range(13))
FAN_OUT = {
    "1,000 axes": "name: x\nx-a: &a [" + ",".join(map(str, range(99))) + "]\nsteps:\n- run: x\n  matrix:\n"
    + "".join(f"    a{i}: *a\n" for i in range(1000)),
    "all that fits of axes": filled(MATRIX, lambda i: f"a{i}: [1,2,3],", "}\n"),
    "long cells": filled(MATRIX + f"b: {list(range(9999))},", lambda i: f"a{i}: [1],", "}\n"),
    "include into each cell": MATRIX + f"a: {list(range(5000))}, include: [" + "".join(f"{{x{i}: 1}}," for i in range(5000)) + "]}\n",
    "excludes of all cells": MATRIX + f"a: {list(range(10_000))}, exclude: [" + "".join(f"{{a: {i}}}," for i in range(10_000)) + "]}\n",
    "excludes of no axis": filled(MATRIX + "".join(f"a{i}: [0]," for i in range(20_000)) + " exclude: [{", lambda i: f"b{i}: 1,", "}]}\n"),
    "long values by alias": "name: x\nx-a: &a '" + "a" * 600_000 + "'\nsteps:\n" + "- {run: x, matrix: {a: [*a, *a]}}\n" * 9000,
    "include of defaults": "name: x\ndefaults: {matrix: {a: [1], include: [" + "".join(f"{{a: 1, b{i}: 1}}," for i in range(20_000)) + "]}}\n" + STEPS_OF_THOUSANDS,
    "axes of defaults": "name: x\ndefaults: {matrix: {" + "".join(f"a{i}: [1]," for i in range(30_000)) + "}, env: {"
    + "".join(f"A{i}: '{{{{ matrix.b{i} }}}}'," for i in range(10_000)) + "}}\n" + STEPS_OF_THOUSANDS,
    "a name for each step": "name: x\ndefaults: {env: {" + "".join(f"A{i}: '{{{{ i{i} }}}}'," for i in range(5000)) + "}}\nsteps:\n"
    + "".join(f"- {{run: x, foreach: {{as: i{i}, items: [1]}}}}\n" for i in range(10_000)),
    "items without params": "name: x\ndefaults: {foreach: [" + "".join(f"'{{{{ params.a{i} }}}}'," for i in range(10_000)) + "]}\n" + STEPS_OF_THOUSANDS,
    "on_failure of defaults": "name: x\ndefaults: {on_failure: [" + "{run: y}," * 100 + "]}\n" + STEPS_OF_THOUSANDS,
    "one id in on_failure": "name: x\nsteps:\n- run: x\n  on_failure: [" + "{run: y, id: a}," * 60_000 + "]\n",
}  # fmt: skip
SECRET = "name: x\nsecrets: [S]\nsteps:\n"
VALUES = {
    "env of secrets": "name: x\nsecrets: [" + "".join(f"S{i}," for i in range(60_000)) + "]\nsteps:\n"
    + "".join("- run: |\n" + "".join(f"    {{{{env.S{j}{i}}}}}\n" for i in range(2800)) for j in range(10)),
    "long source by alias": "name: x\nx-a: &a '" + "a" * 600_000 + "'\nsecrets: {" + "".join(f"S{i}: *a," for i in range(20_000)) + "}\n" + STEP,
    "long file by alias": "name: x\nx-a: &a 'file://" + "../" * 200_000 + "'\nsecrets: {" + "".join(f"S{i}: *a," for i in range(20_000)) + "}\n" + STEP,
    "misused secrets": SECRET + "".join("- run: |\n" + "    {{secrets.S|length}}\n" * 2700 + f"    {j}\n" for j in range(15)),
    "filtered secrets": SECRET + "".join("- run: '" + ("{{secrets.S" + "|lower" * 40 + "}}") * 200 + f"{j}'\n" for j in range(16)),
    "deep fields of secrets": SECRET + "".join("- run: '{{secrets.S" + ".a" * 30_000 + f"|lower}}}}{j}'\n" for j in range(16)),
    "deep parts of secrets": SECRET + "".join("- run: '{{secrets.S" + ".a" * 30_000 + f"}}}}{j}'\n" for j in range(16)),
    "deep fields": STEPS + "".join("- run: '{{params.b" + ".a" * 30_000 + f"}}}}{j}'\n" for j in range(16)),
    "small templates": "name: x\nsteps:\n- {run: x, env: {" + "".join(f"A{i}: '{{{{run.id|lower}}}}{i}'," for i in range(33_000)) + "}}\n",
    "fields of secrets": SECRET + "".join("- run: '" + "{{secrets.S.a}}" * 4000 + f"{j}'\n" for j in range(16)),
    "large patterns": filled("name: x\nparams:\n", lambda i: f"  p{i}: {{pattern: '(\\pL{{500}}){i}'}}\n", STEP),
    "a long pattern": "name: x\nparams:\n  p: {pattern: '" + "(a|b)*" * 140_000 + "'}\n" + STEP,
    "long defaults with patterns": "name: x\nx-a: &a '" + "a" * 500_000 + "'\nparams:\n"
    + "".join(f"  p{i}: {{default: *a, pattern: 'a*b{i}'}}\n" for i in range(8000)) + STEP,
    "a long enum": "name: x\nparams:\n  p: {default: x, enum: [" + "".join(f"a{i}," for i in range(140_000)) + "]}\n" + STEP,
    "raw of many values": "name: x\nsteps:\n"
    + "".join("- run: |\n    {%set a=[" + ",".join(f"env.A{i}" for i in range(100)) + "]%}\n" + "    {{a|raw}}\n" * 4200 + f"    {j}\n" for j in range(15)),
    "long ids by alias": "name: x\nx-a: &a '" + "A " * 300_000 + "'\nsteps:\n" + "- {run: x, id: *a, shell: *a}\n" * 9000,
    "long dotenv by alias": "name: x\nx-a: &a '" + "../" * 200_000 + "'\ndotenv: [" + "*a," * 9000 + "]\n" + STEP,
    "includes": filled("name: x\ninclude: [", lambda i: f"a{i},", "]\n" + STEP),
    "one include": filled("name: x\ninclude: [", lambda _: "./a,", "]\n" + STEP),
    "a long include": "name: x\ninclude: ['" + "a/" * 400_000 + "b']\n" + STEP,
}  # fmt: skip
WRONG = {f"{name} ({group})": text for group, files in (("templates", SCRIPTS), ("repeated", REPEATED), ("near", NEAR), ("fan-out", FAN_OUT), ("values", VALUES), ("others", OTHERS)) for name, text in files.items()}  # fmt: skip
FINE = {
    "10,000 templates": STEPS + "".join(f"- {{run: 'echo {{{{ pipeline.name }}}} {i}'}}\n" for i in range(10_000)),
    "1 MiB of interpolations": many(lambda j: '- run: "' + "{{run.id}}" * 6000 + f'{j}"\n'),
    "templates of defaults": "name: x\ndefaults: {env: {"
    + "".join(f"A{i}: '{{{{ run.id }}}}'," for i in range(2000))
    + "}}\nsteps:\n"
    + "- run: x\n" * 10_000,
    "outputs of defaults": "name: x\ndefaults: {outputs: {"
    + "".join(f"a{i}: {{}}," for i in range(10_000))
    + "}}\nsteps:\n"
    + "- run: x\n" * 10_000,
    "reasons of defaults": "name: x\ndefaults: {retry: {max_attempts: 2, on: ["
    + "1," * 100_000
    + "]}}\nsteps:\n"
    + "- run: x\n" * 10_000,
    "options of defaults": "name: x\ndefaults: {container: {options: ["
    + "--init-path=/x," * 30_000
    + "]}}\nsteps:\n"
    + IMAGES,
    "shell of defaults": "name: x\ndefaults: {shell: [sh, "
    + "a," * 100_000
    + "'{0}']}\nsteps:\n"
    + "- run: 'a {{ run.id }}'\n" * 10_000,
    "one name": STEPS + "- {name: a, run: x}\n" * 10_000,
    "one long name": STEPS + f"- {{run: x, name: '{'A ' * 40}'}}\n" * 10_000,
    "deep lists": filled("name: x\n", lambda i: f"x-{i}: {'[' * 30}1{']' * 30}\n", STEP),
    "deep mappings": filled("name: x\n", lambda i: f"x-{i}: {'{a: ' * 30}1{'}' * 30}\n", STEP),
    "aliases": "name: x\nx-a: &a [" + "1," * 999 + "]\nx-b: [" + "*a," * 99 + "]\n" + STEP,
    "aliased steps": "name: x\nx-a: &a {run: 'echo {{ pipeline.name }}', env: {A: '{{ env.x }}'}}\nsteps: ["
    + "*a," * 9900
    + "]\n",
    "dense needs": filled(
        STEPS,
        lambda i: f"- {{id: s{i}, needs: [{','.join(f's{j}' for j in range(max(0, i - 100), i))}], run: x}}\n",
    ),
    "cells that include gives to": MATRIX
    + f"a: {list(range(5000))}, include: ["
    + "".join(f"{{a: {i}, x: 1}}," for i in range(5000))
    + "]}\n",
    "excludes by bits": MATRIX
    + BITS
    + " exclude: ["
    + "".join("{" + ",".join(f"a{j}: {i >> j & 1}" for j in range(13)) + "}," for i in range(8000))
    + "]}\n",
    "matrix of defaults": "name: x\ndefaults: {matrix: {"
    + "".join(f"a{i}: [1]," for i in range(60_000))
    + "}}\n"
    + STEPS_OF_THOUSANDS,
    "items of defaults": "name: x\nparams: {a: b}\ndefaults: {foreach: ["
    + "'{{ params.a }}'," * 9000
    + "]}\n"
    + STEPS_OF_THOUSANDS,
    "items that are computed": "name: x\nparams: {a: b}\nsteps:\n- run: x\n  foreach: ["
    + "".join(f"'{{{{ params.a ~ {i} }}}}'," for i in range(10_000))
    + "]\n",
    "on_failure of 10,000 steps": STEPS + "- {run: x, on_failure: [{run: '{{ failed.step }}', name: a}]}\n" * 10_000,
    "exit codes of defaults": "name: x\ndefaults: {allow_failure: {exit_codes: ["
    + "1," * 100_000
    + "]}}\n"
    + STEPS_OF_THOUSANDS,
    "1 MiB of secrets": filled("name: x\nsecrets: [", lambda i: f"S{i},", "]\n" + STEP),
    "patterns": filled("name: x\nparams:\n", lambda i: f"  p{i}: {{pattern: 'a{i}'}}\n", STEP),
    "statements between parentheses": many(
        lambda j: "- run: '" + "(" * 20_000 + "{%if 1%}{%endif%}" * 2400 + f"{j}'\n"
    ),
    "parentheses": many(lambda j: "- run: |\n    {{ run.id }}\n    " + "(" * 63_000 + f"    # {j}\n"),
}
RAW_OWN = "".join(f"- {{run: *a, foreach: {{as: i{i}, items: 'env.A'}}}}\n" for i in range(9000))
STRICT = {
    "pasted by alias": "name: x\nparams: {a: b}\nx-a: &a '" + "{{params.a|raw}}\n\n" * 3500 + "'\nsteps:\n" + "- run: *a\n" * 10_000,
    "pasted items": "name: x\nx-a: &a '" + "{{i1|raw}}\n\n" * 4500 + "'\nsteps:\n" + RAW_OWN,
    "vars by alias": "name: x\nx-a: &a '" + "{{ env.a }}\n\n" * 4000 + "'\nvars:\n" + "".join(f"  v{i}: *a\n" for i in range(10_000)) + STEP,
    "volumes that must be allowed": "name: x\ndefaults: {container: {volumes: [" + "".join(f"'/:/v{i}'," for i in range(30_000)) + "]}}\nsteps:\n" + IMAGES,
    "words of a command": filled("name: x\nsteps:\n- command: [bash,", lambda _: "-c,'{{env.A}}',", "]\n"),
    "dense needs": FINE["dense needs"],
}  # fmt: skip
