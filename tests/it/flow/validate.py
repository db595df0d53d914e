"""Validates YAML files by a JSON Schema: {"schema": …, "files": [paths]} in, {path: [what is wrong]} out."""
import json
import sys

import jsonschema
import yaml


class Loader(yaml.SafeLoader):
    """YAML 1.2, where `on` and `yes` are texts."""


Loader.yaml_implicit_resolvers = {
    first: [rule for rule in rules if first not in "yYnNoO" or not rule[0].endswith(":bool")]
    for first, rules in Loader.yaml_implicit_resolvers.items()
}

asked = json.load(sys.stdin)
jsonschema.Draft7Validator.check_schema(asked["schema"])
validator = jsonschema.Draft7Validator(asked["schema"])
answer = {}
for path in asked["files"]:
    with open(path, encoding="utf-8") as file:
        tree = yaml.load(file, Loader)
    answer[path] = [f"{error.json_path}: {error.message}"[:300] for error in validator.iter_errors(tree)]
json.dump(answer, sys.stdout)
