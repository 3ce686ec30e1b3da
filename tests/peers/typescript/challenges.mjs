// What both lines of the TypeScript SDK read in the challenges of our resource server: `challenges.mjs FILE`, which
// the test `documents` wrote. Each stands there with what it has to say.
//
// Both search the line for `name=`. What they would misread is therefore kept away from them: see `to_header_value`
// of our `BearerChallenge`.

import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";

import * as v2 from "@modelcontextprotocol/client";
import * as v1 from "@modelcontextprotocol/sdk/client/auth.js";

const refusals = JSON.parse(await readFile(process.argv[2], "utf8"));
assert.ok(refusals.length > 0, "no challenge to read");
for (const refusal of refusals) {
  const headers = new Headers();
  for (const line of refusal.www_authenticate) headers.append("www-authenticate", line);
  const response = new Response(null, { status: refusal.status, headers });
  const meant = [refusal.resource_metadata ?? undefined, refusal.scope ?? undefined];
  meant.push(refusal.error ?? undefined);
  // Who shows a bound token is answered in that scheme alone, which the 1.x line does not speak.
  const isBound = refusal.www_authenticate[0]?.startsWith("DPoP ") ?? false;
  for (const sdk of isBound ? [v2] : [v1, v2]) {
    const read = sdk.extractWWWAuthenticateParams(response);
    assert.deepEqual([read.resourceMetadataUrl?.href, read.scope, read.error], meant);
    if (!isBound) assert.equal(sdk.extractResourceMetadataUrl(response)?.href, meant[0]);
  }
}
console.log(`${refusals.length} answers read by both lines`);
