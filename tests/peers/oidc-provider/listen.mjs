// A server on a free loopback port that says on the standard error what it answered.

import { once } from "node:events";
import { createServer } from "node:http";

/** A server that listens already, and its origin; what it answers is added by the caller. */
export async function listen() {
  const server = createServer();
  server.on("request", (request, response) => {
    const path = request.url.split("?")[0];
    response.on("finish", () => console.error(`${request.method} ${path} ${response.statusCode}`));
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return [server, `http://127.0.0.1:${server.address().port}`];
}

/** Says why a provider refused something. */
export function explain(provider) {
  for (const event of ["authorization", "grant", "introspection", "registration_create", "server"]) {
    provider.on(`${event}.error`, (_context, error) => {
      console.error(`${event}: ${error.error_detail ?? error.stack}`);
    });
  }
}
