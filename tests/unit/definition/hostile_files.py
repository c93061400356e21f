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
REPEATED = {
    "variables of defaults": "name: x\ndefaults: {env: {" + "".join(f"A{i}: x," for i in range(50_000)) + "}}\n"
    "steps:\n" + "- {run: x, env: {A: b}}\n" * 10_000,
    "wrong names in defaults": "name: x\ndefaults: {env: {" + "".join(f"A{i}: '{{{{ bogus }}}}'," for i in range(500)) + "}}\nsteps:\n" + "- run: x\n" * 10_000,
    "steps in defaults": "name: x\ndefaults: {if: '[" + "".join(f"steps.s{i}," for i in range(4000)) + "]'}\nsteps:\n"
    + "".join(f"- {{id: s{i}, run: x}}\n" for i in range(10_000)),
    "unknown keys of defaults": "name: x\ndefaults: {" + "".join(f"a{i}: 1," for i in range(80_000)) + "}\nsteps:\n"
    + "- run: x\n" * 10_000,
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
WRONG = {f"{name} ({group})": text for group, files in (("templates", SCRIPTS), ("repeated", REPEATED), ("near", NEAR), ("others", OTHERS)) for name, text in files.items()}  # fmt: skip
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
    "shell of defaults": "name: x\ndefaults: {shell: ["
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
    "parentheses": many(lambda j: "- run: |\n    {{ run.id }}\n    " + "(" * 63_000 + f"    # {j}\n"),
}
