// What a host of either line of the TypeScript SDK brings: a place for credentials, and a browser, here a scripted one.

import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";

/** Pages and redirects of one visit. */
const MAX_HOPS = 20;
const FIELD = /<input[^>]* type="(?:hidden|text|password)" name="([^"]*)"([^>]*)>/g;
const BUTTON = /<button[^>]* name="([^"]*)" value="([^"]*)"/g;

/** What a user who agrees to everything sends: a word in each empty field, and the last button, which says yes. */
function submission(html, page) {
  const action = /<form[^>]* action="([^"]*)"/.exec(html)?.[1];
  assert.ok(action, `no form at ${page}: ${html}`);
  const body = new URLSearchParams();
  for (const [, name, rest] of html.matchAll(FIELD)) {
    body.append(name, / value="([^"]+)"/.exec(rest)?.[1] ?? "somebody");
  }
  const pressed = [...html.matchAll(BUTTON)].at(-1);
  if (pressed) body.append(pressed[1], pressed[2]);
  return [new URL(action, page), { method: "POST", body }];
}

/** Follows redirects, keeps cookies, and submits the form of each page, until the browser is sent to `end`. */
async function agree(url, end) {
  const cookies = new Map();
  let next = [new URL(url), { method: "GET" }];
  for (let hop = 0; hop < MAX_HOPS; hop += 1) {
    const [page, request] = next;
    const cookie = [...cookies].map((pair) => pair.join("=")).join("; ");
    const headers = { cookie, origin: page.origin };
    const answer = await fetch(page, { ...request, headers, redirect: "manual" });
    for (const line of answer.headers.getSetCookie()) {
      cookies.set(...line.split(";")[0].split(/=(.*)/s, 2));
    }
    const html = await answer.text();
    const location = answer.headers.get("location");
    if (location === null) {
      assert.equal(answer.status, 200, html);
      next = submission(html, page);
      continue;
    }
    const to = new URL(location, page);
    if (to.origin + to.pathname === end) return to;
    next = [to, { method: "GET" }];
  }
  assert.fail(`no end after ${MAX_HOPS} pages`);
}

/** The SDK's `OAuthClientProvider`, in memory. It keeps what the SDK hands over, and does not look into it. */
export class Host {
  redirectUrl = "http://127.0.0.1:3118/callback";
  clientMetadata = {
    client_name: "Interop",
    redirect_uris: [this.redirectUrl],
    grant_types: ["authorization_code", "refresh_token"],
    response_types: ["code"],
    token_endpoint_auth_method: "none",
  };
  visits = 0;
  saves = 0;
  /** What the challenge of each 403 said. */
  refusals = [];
  #kept = {};
  #state;
  #callback;

  /** The SDK's way out, where every answer passes. */
  fetch = async (url, init) => {
    const response = await fetch(url, init);
    if (response.status === 403) this.refusals.push(response.headers.get("www-authenticate"));
    return response;
  };
  state() {
    return (this.#state = randomUUID());
  }
  clientInformation() {
    return this.#kept.client;
  }
  saveClientInformation(client) {
    this.#kept.client = client;
  }
  tokens() {
    return this.#kept.tokens;
  }
  saveTokens(tokens) {
    this.saves += 1;
    this.#kept.tokens = tokens;
  }
  saveCodeVerifier(verifier) {
    this.#kept.verifier = verifier;
  }
  codeVerifier() {
    return this.#kept.verifier;
  }
  saveDiscoveryState(state) {
    this.#kept.discovery = state;
  }
  discoveryState() {
    return this.#kept.discovery;
  }
  dropRefreshToken() {
    delete this.#kept.tokens.refresh_token;
  }
  async redirectToAuthorization(url) {
    this.visits += 1;
    this.#callback = await agree(url, this.redirectUrl);
  }

  /** What the browser came back with, once it did: the `state` is the host's to compare. */
  callback() {
    const { searchParams } = this.#callback;
    assert.equal(searchParams.get("state"), this.#state);
    return searchParams;
  }
}

/** How many calls were refused, all of them because they need these scopes. */
export function refusedFor(host, times, scope) {
  assert.equal(host.refusals.length, times, host.refusals.join("\n"));
  for (const challenge of host.refusals) {
    assert.match(challenge, /^Bearer error="insufficient_scope"/);
    assert.ok(challenge.includes(`scope="${scope}"`), challenge);
  }
}

/** Waits until the server no longer takes the token that is kept. */
export async function die(url, host) {
  const authorization = `Bearer ${host.tokens().access_token}`;
  const headers = {
    authorization,
    "content-type": "application/json",
    accept: "application/json, text/event-stream",
  };
  const body = JSON.stringify({ jsonrpc: "2.0", id: 1, method: "tools/list", params: {} });
  while ((await fetch(url, { method: "POST", headers, body })).status !== 401) {
    await new Promise((resolve) => setTimeout(resolve, 250));
  }
}

export const scopes = (host) => host.tokens().scope?.split(" ").sort().join(" ");

export const text = (result) => result.content.map((part) => part.text).join("");
