"""OAuth documents of the Python SDK.

    python documents.py write DIR   the documents that the SDK produces, the same bytes each time
    python documents.py read DIR    whether the SDK reads each `<kind>.<case>.json` in DIR
"""

import json
import re
import sys
from pathlib import Path
from typing import get_args

import anyio
import httpx2
from mcp.client.auth.utils import (
    create_client_registration_request,
    handle_registration_response,
)
from mcp.server.auth.handlers.token import TokenErrorResponse
from mcp.server.auth.provider import TokenErrorCode
from mcp.shared.auth import (
    OAuthClientInformationFull,
    OAuthClientMetadata,
    OAuthMetadata,
    OAuthToken,
    ProtectedResourceMetadata,
)
from pydantic import BaseModel, ValidationError

import samples
import servers

# The SDK has one model for both kinds of server metadata: its client reads either with it. Of an error
# its client reads nothing; that model is the one its server writes with, and knows no other code.
MODELS: dict[str, type[BaseModel]] = {
    "authorization-server-metadata": OAuthMetadata,
    "openid-metadata": OAuthMetadata,
    "protected-resource-metadata": ProtectedResourceMetadata,
    "client-metadata": OAuthClientMetadata,
    "registration-answer": OAuthClientInformationFull,
    "token-response": OAuthToken,
    "token-error": TokenErrorResponse,
}

# Registered members that a model does not declare and therefore drops.
DROPPED = {
    "authorization-server-metadata": {"jwks_uri", "dpop_signing_alg_values_supported"},
    "client-metadata": {"software_statement"},
    "registration-answer": {"software_statement"},
    "token-response": {"id_token"},
}


def may_drop(kind: str, member: str) -> bool:
    """Whether a model may lose this member: an extension, or one that is not its business."""
    if member in MODELS[kind].model_fields:
        return False
    if kind == "openid-metadata" or re.search("^x_|#", member):
        return True
    return member in DROPPED.get(kind, set())


# Lists that the SDK wants at least one of: a document that names none is read by it in no spelling.
NEEDS_ONE = {
    "client-metadata": "redirect_uris",
    "protected-resource-metadata": "authorization_servers",
}


def names_none(kind: str, text: bytes) -> bool:
    return kind in NEEDS_ONE and not json.loads(text).get(NEEDS_ONE[kind])


def write(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    documents: dict[str, bytes] = {}

    def emit(kind: str, name: str, text: bytes) -> None:
        file = f"{kind}.{name}.json"
        assert file not in documents, f"{file} is written twice"
        documents[file] = text + b"\n"

    for kind, cases in samples.SAMPLES.items():
        for name, sample in cases.items():
            model = MODELS[kind].model_validate(sample)
            emit(kind, f"model-{name}", model.model_dump_json(exclude_none=True).encode())
            emit(kind, f"model-{name}-nulls", model.model_dump_json().encode())
    for name, sample in samples.SAMPLES["client-metadata"].items():
        metadata = OAuthClientMetadata.model_validate(sample)
        request = create_client_registration_request(None, metadata, "https://as.example")
        emit("client-metadata", f"client-{name}", request.read())
    servers.answers(emit)

    for file, text in documents.items():
        (folder / file).write_bytes(text)
    print(f"{len(documents)} documents written")


def parse(kind: str, text: bytes) -> BaseModel:
    """Reads a document in the way of the SDK's client, or of its server for what clients send."""
    if kind == "registration-answer":
        return anyio.run(handle_registration_response, httpx2.Response(201, content=text))
    return MODELS[kind].model_validate_json(text)


def read(folder: Path) -> int:
    files = sorted(folder.glob("*.json"))
    failures: list[str] = []
    notes: dict[str, None] = {}
    for file in files:
        kind = file.name.split(".", 1)[0]
        if kind not in MODELS:
            failures.append(f"{file.name}: no model reads this kind")
            continue
        text = file.read_bytes()
        if kind == "token-error" and json.loads(text)["error"] not in get_args(TokenErrorCode):
            notes[f"not written by the SDK's server, so not read: {file.name}"] = None
            continue
        if names_none(kind, text):
            notes[f"the SDK reads no document that names none: {file.name} {NEEDS_ONE[kind]}"] = None
            continue
        try:
            model = parse(kind, text)
        except Exception as error:  # The SDK wraps what pydantic says.
            cause = error if isinstance(error, ValidationError) else error.__cause__
            if not isinstance(cause, ValidationError):
                raise
            for it in cause.errors():
                member = ".".join(map(str, it["loc"])) or "it"
                failures.append(f"{file.name}: the SDK refuses {member}: {it['msg']}")
            continue
        kept = json.loads(model.model_dump_json())
        for member, value in json.loads(text).items():
            if member in kept and kept[member] == value:
                continue
            if member in kept or not may_drop(kind, member):
                failures.append(f"{file.name}: {member} becomes {json.dumps(kept.get(member))}")
            else:
                notes[f"not declared, so dropped: {kind} {member}"] = None
    for note in notes:
        print(note)
    if not files:
        failures.append("no document to read")
    for failure in failures:
        print(failure, file=sys.stderr)
    print(f"{len(files)} documents, {len(failures)} failures")
    return 1 if failures else 0


def main() -> int:
    match sys.argv[1:]:
        case ["write", folder]:
            write(Path(folder))
            return 0
        case ["read", folder]:
            return read(Path(folder))
        case _:
            print("usage: python documents.py write|read DIR", file=sys.stderr)
            return 2


if __name__ == "__main__":
    sys.exit(main())
