"""What a file of environment variables holds reaches steps, and nothing that is kept of a run."""

from running_dagnats import EVENTS, dagnats, write_pipeline

VALUE = "s3cr3t-0123456789abcdef"


def test_a_value_reaches_the_step_and_is_recorded_nowhere(tmp_path):
    (tmp_path / ".env").write_text(f"TOKEN={VALUE}\n")
    write_pipeline(
        tmp_path,
        f"name: x\ndotenv: [.env]\nsteps:\n  - run: test ${{#TOKEN}} = {len(VALUE)}\n  - command: [sh, -c, 'test -n \"$TOKEN\"']\n",
    )
    result = dagnats(["run", "pipeline.yaml", "--events", EVENTS, "-v"], tmp_path)
    assert result.code == 0, result.text
    kept = [file for file in (tmp_path / ".dagnats").rglob("*") if file.is_file()]
    assert kept
    assert VALUE not in result.text
    for file in [*kept, tmp_path / EVENTS]:
        assert VALUE.encode() not in file.read_bytes(), file
