// The client of the TypeScript SDK's 2.x line against our servers: `client-v2.mjs URL` logs in, calls a tool, steps up,
// calls another, and refreshes; `client-v2.mjs URL legacy` does it in the protocol of 2025-11-25, and `client-v2.mjs URL
// foreign` at a server whose authorization server is not ours, without the refresh.
//
// | what the servers meet here                                                            | whose |
// |---------------------------------------------------------------------------------------|-------|
// | the first message is a probe for the protocol of 2026-07-28, without a token           | SDK   |
// | discovery names the protocol of 2025-11-25 in its header, whatever is spoken           | SDK   |
// | registers as a public client, native, with the scope of the challenge                 | host  |
// | asks for the scope of the challenge; `resource` in both requests                       | SDK   |
// | `iss` is compared, if the host hands the callback over as it is; `state` is the host's | both  |
// | a login ends in an exception: the host calls `finishAuth`, and connects anew           | host  |
// | a 403 asks for the union at once; the host calls `finishAuth`, and calls again         | both  |
// | refreshes after a 401, without `scope`                                                 | SDK   |

import assert from "node:assert/strict";

import {
  Client,
  StreamableHTTPClientTransport,
  UnauthorizedError,
} from "@modelcontextprotocol/client";

import { Host, die, refusedFor, scopes, text } from "./host.mjs";

const [, , url, mode] = process.argv;
const era = mode === "legacy" ? "2025-11-25" : "2026-07-28";
const negotiation = mode === "legacy" ? {} : { versionNegotiation: { mode: "auto" } };
const host = new Host();

async function connect() {
  const client = new Client({ name: "interop", version: "1" }, negotiation);
  const transport = new StreamableHTTPClientTransport(new URL(url), {
    authProvider: host,
    fetch: host.fetch,
  });
  try {
    await client.connect(transport);
  } catch (error) {
    if (!(error instanceof UnauthorizedError)) throw error;
    await transport.finishAuth(host.callback());
    return connect();
  }
  return [client, transport];
}

const write = () =>
  client.callTool({ name: "write-file", arguments: { name: "v2.txt", content: "abc" } });

const [client, transport] = await connect();
assert.equal(client.getNegotiatedProtocolVersion(), era);
const { tools } = await client.listTools();
assert.deepEqual(tools.map((tool) => tool.name).sort(), ["list-files", "write-file"]);
assert.match(text(await client.callTool({ name: "list-files", arguments: {} })), /readme/);
refusedFor(host, 0);
assert.equal(host.visits, 1);
assert.equal(scopes(host), "files:read", "no step-up to test");
console.log("login      list-files answered after one visit");

await assert.rejects(write, UnauthorizedError);
refusedFor(host, 1, "files:read files:write");
assert.equal(host.visits, 2);
await transport.finishAuth(host.callback());
assert.match(text(await write()), /3 bytes/);
assert.equal(scopes(host), "files:read files:write");
console.log("step-up    write-file answered after one more visit");

if (mode !== "foreign") {
  const saves = host.saves;
  await die(url, host);
  assert.match(text(await write()), /3 bytes/);
  assert.equal(host.visits, 2);
  assert.equal(host.saves, saves + 1);
  assert.equal(scopes(host), "files:read files:write");
  console.log("refresh    write-file answered with a new token and no visit");
}
await client.close();
