// MCP Inspector in a browser against the servers of `scoped-tools`: connecting, and the flows of its OAuth debugger.
//
//     node inspector.mjs <scoped-tools> <chromium>
//
// Each as a user does it, without the Inspector's proxy ("Direct") and with it.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import { extname } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

import { chromium } from 'playwright-core';

const [server, executablePath] = process.argv.slice(2);
const processes = [];
// What the Inspector's proxy complains of: a 401 too, which is how every login begins.
const complaints = [];

/** Starts a program, and resolves to the first match in what it prints. */
function start(pattern, program, args, env = {}) {
  const child = spawn(program, args, { stdio: ['ignore', 'pipe', 'pipe'], env: { ...process.env, ...env } });
  processes.push(child);
  child.stderr.on('data', (text) => complaints.push(text));
  return new Promise((resolve, reject) => {
    child.once('exit', () => reject(new Error(`${program} ended`)));
    createInterface(child.stdout).on('line', (line) => {
      const found = pattern.exec(line);
      if (found) resolve(found[1]);
    });
  });
}

/** A port that is free now: the proxy does not say which one it was given. */
async function freePort() {
  const listener = createServer();
  await new Promise((resolve) => listener.listen(0, 'localhost', resolve));
  const { port } = listener.address();
  await new Promise((resolve) => listener.close(resolve));
  return `${port}`;
}

const installed = (path) => fileURLToPath(new URL(`node_modules/@modelcontextprotocol/${path}`, import.meta.url));

const TYPES = { '.html': 'text/html', '.js': 'text/javascript', '.css': 'text/css', '.svg': 'image/svg+xml' };
// The Inspector's pages. Its own server has a port that is chosen beforehand.
const pages = createServer(async (request, response) => {
  const { pathname } = new URL(request.url, 'http://inspector');
  // Every other path is one of the application's own, callbacks too.
  const file = /^\/(assets\/)?[\w-]+\.\w+$/.test(pathname) ? pathname : '/index.html';
  try {
    const content = await readFile(installed(`inspector-client/dist${file}`));
    // As the Inspector's own server has it.
    const kept = file.startsWith('/assets/') ? 'public, max-age=31536000, immutable' : 'no-store';
    const type = TYPES[extname(file)] ?? 'application/octet-stream';
    response.writeHead(200, { 'content-type': type, 'cache-control': kept }).end(content);
  } catch {
    response.writeHead(404).end();
  }
});

let browser;
let mcp;
let inspector;
let proxy;

async function prepare() {
  await new Promise((resolve) => pages.listen(0, 'localhost', resolve));
  const CLIENT_PORT = `${pages.address().port}`;
  const SERVER_PORT = await freePort();
  const env = { CLIENT_PORT, SERVER_PORT, HOST: 'localhost', MCP_PROXY_AUTH_TOKEN: 'proxy' };
  [mcp] = await Promise.all([
    start(/^MCP server: +(\S+)/, server, ['serve', '--mcp-port', '0', '--authorization-port', '0']),
    start(/(listening)/, process.execPath, [installed('inspector-server/build/index.js')], env),
  ]);
  inspector = `http://localhost:${CLIENT_PORT}`;
  proxy = `http://localhost:${SERVER_PORT}`;
  browser = await chromium.launch({
    executablePath,
    args: [
      '--headless', '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run',
      '--disable-background-networking', '--disable-component-update', '--disable-sync',
      '--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1, EXCLUDE localhost',
    ],
  });
}

const press = (page, name) => page.getByRole('button', { name, exact: true }).click();
const says = (page, text) => page.getByText(text).first().waitFor();

async function choose(page, label, option) {
  await page.getByLabel(label).click();
  await page.getByRole('option', { name: option, exact: true }).click();
}

/** Fills the form at the left of the Inspector. */
async function fill(page, connection) {
  await page.goto(inspector);
  await choose(page, 'Transport Type', 'Streamable HTTP');
  await page.getByLabel('URL', { exact: true }).fill(mcp);
  await choose(page, 'Connection Type', connection);
  if (connection === 'Direct') return;
  // The default port may be taken here. A user of that port has only the token to fill in, or nothing.
  await press(page, 'Configuration');
  await page.locator('#MCP_PROXY_FULL_ADDRESS-input').fill(proxy);
  await page.locator('#MCP_PROXY_AUTH_TOKEN-input').fill('proxy');
}

async function allow(page) {
  await says(page, 'Allow access?');
  await press(page, 'Allow');
}

/**
 * Makes the Inspector's second way to the login the one that counts.
 *
 * Connecting without its proxy, both its SDK and itself start a login when they read the 401, and the second one's
 * PKCE verifier takes the place of the first one's. If the page is left by the first way after that, no server can
 * redeem the code. So the first is not answered, and the second is what any user gets whose browser is slower.
 */
async function onlySecondLogin(page) {
  let logins = 0;
  await page.route(({ pathname }) => pathname === '/authorize', async (route) => {
    logins += 1;
    if (logins > 1) await route.continue();
  });
}

/**
 * Keeps the proxy's defaults from the Inspector, which has everything it needs in its form.
 *
 * It asks for them whenever it is loaded, the callback's page too. If they arrive while that page redeems the code, the
 * Inspector draws the page anew, takes it for a second callback, forgets what it had begun and stays disconnected with
 * its token. A user who sees that presses Connect again.
 */
async function noDefaults(page) {
  await page.route(`${proxy}/config`, () => {});
}

const flows = {
  async 'connecting lists the tools and calls one'(page, connection) {
    await (connection === 'Direct' ? onlySecondLogin(page) : noDefaults(page));
    await fill(page, connection);
    await press(page, 'Connect');
    await allow(page);
    await page.getByText('Connected', { exact: true }).waitFor();
    await page.getByRole('tab', { name: 'Tools' }).click();
    await press(page, 'List Tools');
    await says(page, 'list-files');
    await page.getByText('list-files').first().click();
    await press(page, 'Run Tool');
    await says(page, 'readme.txt');
  },

  async 'the quick flow ends with a token'(page, connection) {
    await fill(page, connection);
    await press(page, 'Open Auth Settings');
    await press(page, 'Quick OAuth Flow');
    await allow(page);
    await says(page, 'Access Token:');
    await says(page, 'Access Tokens');
  },

  async 'the guided flow ends with a token'(page, connection) {
    await fill(page, connection);
    await press(page, 'Open Auth Settings');
    await press(page, 'Guided OAuth Flow');
    for (const done of ['OAuth Metadata Sources', 'Registered Client Information', 'Authorization URL:']) {
      await press(page, 'Continue');
      await says(page, done);
    }
    const [tab] = await Promise.all([
      page.waitForEvent('popup'),
      page.getByRole('button', { name: 'Open authorization URL in new tab' }).click(),
    ]);
    await allow(tab);
    await tab.waitForURL('**/oauth/callback/debug?**');
    const code = await tab.locator('code').textContent();
    await page.bringToFront();
    await page.getByPlaceholder('Enter the code').fill(code);
    await press(page, 'Continue');
    await says(page, 'Token Request Details');
    await press(page, 'Continue');
    await says(page, 'Access Token:');
    await says(page, 'Access Tokens');
  },
};

let failed = 0;

async function check(connection, name, flow) {
  const started = performance.now();
  const context = await browser.newContext({ viewport: { width: 1280, height: 1000 } });
  context.setDefaultTimeout(20_000);
  const heard = [];
  context.on('console', (message) => {
    if (message.type() === 'error') heard.push(message.text());
  });
  const page = await context.newPage();
  try {
    await flow(page, connection);
    assert.deepEqual(heard.filter((text) => text.includes('CORS policy')), [], 'nothing was kept from the page');
    console.log(`ok      ${connection}: ${name} (${Math.round(performance.now() - started)} ms)`);
  } catch (error) {
    failed += 1;
    const shown = await page.locator('body').innerText().catch(() => '');
    console.log([`FAILED  ${connection}: ${name}`, error.stack, ...heard, page.url(), shown].join('\n'));
  } finally {
    await context.close();
  }
}

try {
  await prepare();
  await Promise.all(['Direct', 'Via Proxy'].map(async (connection) => {
    for (const [name, flow] of Object.entries(flows)) await check(connection, name, flow);
  }));
} finally {
  await browser?.close();
  pages.closeAllConnections();
  pages.close();
  for (const child of processes) child.kill();
  if (failed !== 0) console.log(complaints.join(''));
}
console.log(`${2 * Object.keys(flows).length - failed} passed, ${failed} failed`);
process.exitCode = failed === 0 ? 0 : 1;
