#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only
"""schema_check.py SCHEMA COMMAND <LINES: is each line what docs/vstorctl.schema.json says of this command? Fails if there is no line."""
import json
import sys

import jsonschema


def main():
    with open(sys.argv[1], encoding="utf-8") as f:
        schema = json.load(f)
    jsonschema.Draft202012Validator.check_schema(schema)
    if sys.argv[2] not in schema["$defs"]:
        sys.exit(f"the schema has no command '{sys.argv[2]}'")
    check = jsonschema.Draft202012Validator({**schema, "$ref": "#/$defs/" + sys.argv[2]})
    lines = 0
    for line in sys.stdin:
        lines += 1
        for error in check.iter_errors(json.loads(line)):
            sys.exit(f"{sys.argv[2]}: {'.'.join(map(str, error.absolute_path))}: {error.message[:300]}\nin {line}")
    if not lines:
        sys.exit(f"{sys.argv[2]}: no line to check")


if __name__ == "__main__":
    main()
