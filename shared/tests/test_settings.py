import pytest

from shared.errors import ConfigError
from shared.settings import check_settings, read_yaml

SCHEMA = """
type: object
additionalProperties: false
required: [models]
properties:
  models: {type: array, items: {type: string}}
  layer: {type: integer, minimum: 0, description: "layer to edit, from 0"}
  nested: {type: object, additionalProperties: false, properties: {a: {type: number}}}
"""


@pytest.fixture
def check(tmp_path):
    (tmp_path / "schema.yaml").write_text(SCHEMA)

    def run(base, extra=""):
        (tmp_path / "config.yaml").write_text(base)
        (tmp_path / "smoke.yaml").write_text(extra)
        files = [tmp_path / "config.yaml", tmp_path / "smoke.yaml"]
        merged = read_yaml(files[0]) | (read_yaml(files[1]) or {})
        check_settings(merged, tmp_path / "schema.yaml", files)

    return run


def test_right_settings_pass(check):
    check("models: [a]\nlayer: 3\n", "nested: {a: 1.5}\n")


@pytest.mark.parametrize(
    ("base", "extra", "message"),
    [
        ("models: [a]\n", "nested: {b: 1}\n", r"/smoke.yaml: unknown key 'nested.b'; known keys: \['a'\]"),
        (
            "models: [a]\nlayr: 1\n",
            "",
            r"/config.yaml: unknown key 'layr'; known keys: \['layer', 'models', 'nested'\]",
        ),
        ("layer: 1\n", "", "'models' is a required property"),
        ("models: [a]\nlayer: -1\n", "", r"/config.yaml: layer: -1 is less than the minimum of 0 \(layer to edit"),
        ("models: [a, 3]\n", "", "models.1: 3 is not of type 'string'"),
    ],
)
def test_faults_name_file_key_and_remedy(check, base, extra, message):
    with pytest.raises(ConfigError, match=message):
        check(base, extra)


def test_broken_yaml_names_the_file(tmp_path):
    (tmp_path / "bad.yaml").write_text("a: [1\n")
    with pytest.raises(ConfigError, match="bad.yaml: not valid YAML"):
        read_yaml(tmp_path / "bad.yaml")
    with pytest.raises(ConfigError, match="no such file"):
        read_yaml(tmp_path / "absent.yaml")
