"""What either line of the Python SDK reads in the challenges of our resource server: `challenges.py FILE`, which the
test `documents` wrote. Each stands there with what it has to say.

It searches the line for `name=`. What it would misread is therefore kept away from it: see `to_header_value` of our
`BearerChallenge`.
"""

import json
import sys
from pathlib import Path

from mcp.client.auth import utils

refusals = json.loads(Path(sys.argv[1]).read_text())
assert refusals, "no challenge to read"
for refusal in refusals:
    headers = [("www-authenticate", line) for line in refusal["www_authenticate"]]
    # Of the HTTP library that this line is built on.
    response = utils.Response(refusal["status"], headers=headers)
    # A 400 is an end to it, whatever else the answer says.
    metadata = refusal["resource_metadata"] if refusal["status"] in (401, 403) else None
    for read, meant in (
        (utils.extract_resource_metadata_from_www_auth(response), metadata),
        (utils.extract_scope_from_www_auth(response), refusal["scope"]),
        (utils.extract_field_from_www_auth(response, "error"), refusal["error"]),
    ):
        assert read == meant, f"reads {read!r} in {headers}, which means {meant!r}"
print(f"{len(refusals)} answers read")
