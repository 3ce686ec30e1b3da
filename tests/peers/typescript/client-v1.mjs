// The client of the TypeScript SDK's 1.x line against our servers: `client-v1.mjs URL` logs in, calls a tool, steps up,
// calls another, and refreshes.
//
// | what the servers meet here                                                            | whose |
// |---------------------------------------------------------------------------------------|-------|
// | registers as a public client with the scope of the challenge, and no application type | host  |
// | asks for the scope of the challenge; `resource` in both requests                       | SDK   |
// | does not look at `iss`; `state` is the host's                                          | SDK   |
// | a login ends in an exception: the host calls `finishAuth`, and connects anew           | host  |
// | answers a 403 with a refresh, which widens nothing, and gives up at the next           | SDK   |
// | a host that wants more drops its refresh token, and connects anew                      | host  |
// | the step-up asks for the scope of the challenge alone: ours names all that is needed   | SDK   |
// | refreshes after a 401, without `scope`                                                 | SDK   |

import assert from "node:assert/strict";

import { UnauthorizedError } from "@modelcontextprotocol/sdk/client/auth.js";
import { Client } from "@modelcontextprotocol/sdk/client/index.js";
import {
  StreamableHTTPClientTransport,
  StreamableHTTPError,
} from "@modelcontextprotocol/sdk/client/streamableHttp.js";

import { Host, die, refusedFor, scopes, text } from "./host.mjs";

const [, , url] = process.argv;
const host = new Host();

async function connect() {
  const client = new Client({ name: "interop", version: "1" });
  const transport = new StreamableHTTPClientTransport(new URL(url), {
    authProvider: host,
    fetch: host.fetch,
  });
  try {
    await client.connect(transport);
  } catch (error) {
    if (!(error instanceof UnauthorizedError)) throw error;
    await transport.finishAuth(host.callback().get("code"));
    return connect();
  }
  return [client, transport];
}

const write = () =>
  client.callTool({ name: "write-file", arguments: { name: "v1.txt", content: "abc" } });

let [client, transport] = await connect();
const { tools } = await client.listTools();
assert.deepEqual(tools.map((tool) => tool.name).sort(), ["list-files", "write-file"]);
assert.match(text(await client.callTool({ name: "list-files", arguments: {} })), /readme/);
refusedFor(host, 0);
assert.equal(host.visits, 1);
assert.equal(scopes(host), "files:read", "no step-up to test");
console.log("login      list-files answered after one visit");

await assert.rejects(write, (error) => error instanceof StreamableHTTPError && error.code === 403);
refusedFor(host, 2, "files:read files:write");
assert.equal(host.visits, 1);
await client.close();
host.dropRefreshToken();
[client, transport] = await connect();
await assert.rejects(write, UnauthorizedError);
assert.equal(host.visits, 2);
refusedFor(host, 3, "files:read files:write");
await transport.finishAuth(host.callback().get("code"));
assert.match(text(await write()), /3 bytes/);
assert.equal(scopes(host), "files:read files:write");
console.log("step-up    write-file answered after one more visit, which the host had to ask for");

const saves = host.saves;
await die(url, host);
assert.match(text(await write()), /3 bytes/);
assert.equal(host.visits, 2);
assert.equal(host.saves, saves + 1);
console.log("refresh    write-file answered with a new token and no visit");
await client.close();
