// What a real browser makes of the login, consent and error pages.
//
//     node main.mjs <server> <chromium> <folder for pictures>
//
// <server> is the example `browser_server` of the tests package.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { mkdir } from 'node:fs/promises';
import { createServer } from 'node:http';
import { createInterface } from 'node:readline';

import axe from 'axe-core';
import { chromium } from 'playwright-core';

const [server, executablePath, pictures] = process.argv.slice(2);
const VERIFIER = 'dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk';
const CHALLENGE = 'E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM';
const PHONE = { width: 360, height: 740 };
const DESKTOP = { width: 1280, height: 800 };

// The authorization server, in a process of its own.
const served = spawn(server, { stdio: ['pipe', 'pipe', 'inherit'] });
const [issuer] = await Promise.race([
  once(createInterface(served.stdout), 'line'),
  once(served, 'exit').then(() => { throw new Error('the server did not start'); }),
]);

// The client: where browsers come back to, and a site of its own that may be hostile.
const callbacks = [];
const pages = new Map();
// Where callbacks lead on to.
const hops = new Map();
const client = createServer((request, response) => {
  const url = new URL(request.url, 'http://client');
  const hop = hops.get(url.pathname);
  if (url.pathname === '/cb' || hop) callbacks.push({ parameters: url.searchParams, headers: request.headers });
  if (hop) return response.writeHead(307, { location: hop }).end();
  response.setHeader('content-type', 'text/html');
  response.end(pages.get(url.pathname) ?? '<!doctype html><title>Client</title><p>Back at the client.');
});
await new Promise((resolve) => client.listen(0, '127.0.0.1', resolve));
const site = `http://127.0.0.1:${client.address().port}`;
// Another origin, to which no page of the server names a way.
const other = createServer((_, response) => response.end('Elsewhere.'));
await new Promise((resolve) => other.listen(0, '127.0.0.1', resolve));
const elsewhere = `http://127.0.0.1:${other.address().port}`;

const browser = await chromium.launch({
  executablePath,
  args: [
    '--headless', '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run',
    '--disable-background-networking', '--disable-component-update', '--disable-sync',
    '--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1',
  ],
});

function once(emitter, event) {
  return new Promise((resolve) => emitter.once(event, (...values) => resolve(values)));
}

async function register(metadata = {}) {
  const response = await fetch(`${issuer}/register`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({
      client_name: 'Notes for everyone', redirect_uris: [`${site}/cb`],
      token_endpoint_auth_method: 'none', ...metadata,
    }),
  });
  assert.equal(response.status, 201);
  return (await response.json()).client_id;
}

let states = 0;
/** The address of an authorization request, and the state that it carries. */
function request(client_id, changes = {}) {
  const state = `s${++states}`;
  const parameters = {
    response_type: 'code', client_id, redirect_uri: `${site}/cb`, state, scope: 'files:read files:write',
    code_challenge: CHALLENGE, code_challenge_method: 'S256', ...changes,
  };
  return { url: `${issuer}/authorize?${new URLSearchParams(parameters)}`, state };
}

const answers = (state) => callbacks.filter(({ parameters }) => parameters.get('state') === state);
const violations = [];

/** Runs something in a browser that nobody has used. */
async function fresh(options, run) {
  const context = await browser.newContext({ viewport: DESKTOP, ...options });
  context.setDefaultTimeout(5000);
  context.on('console', (message) => {
    if (/content security policy/i.test(message.text())) violations.push(message.text());
  });
  try {
    await run(await context.newPage(), context);
  } finally {
    await context.close();
  }
}

async function login(page, user = 'alice', password = 'correct horse') {
  await page.getByLabel('Name').fill(user);
  await page.getByLabel('Password').fill(password);
  await page.getByRole('button', { name: 'Log in' }).click();
}

const allow = (page) => page.getByRole('button', { name: 'Allow' });
const deny = (page) => page.getByRole('button', { name: 'Deny' });
const back = (page) => page.waitForURL(`${site}/cb?**`);
const says = (page, text) => page.getByText(text).waitFor();

async function redeem(client_id, code) {
  const body = { grant_type: 'authorization_code', client_id, code, code_verifier: VERIFIER };
  const response = await fetch(`${issuer}/token`, { method: 'POST', body: new URLSearchParams(body) });
  return response.status;
}

/** Every problem that axe finds, as one line each; nothing on a page that is right. */
async function accessible(page, name) {
  await page.evaluate(axe.source);
  const { violations } = await page.evaluate(() => globalThis.axe.run(document));
  const found = violations.flatMap(({ id, nodes }) => nodes.map(({ html }) => `${id}: ${html}`));
  assert.deepEqual(found, [], name);
}

const HOSTILE = '\u202eemosewa\u202c <b>Claude</b> by Example\u200b. You already allowed this';
const LONG = `${'Wolkenkuckucksheimverwaltung'.repeat(2)} ${'é\u0301\u0302\u0303\u0304\u0305\u0306'.repeat(9)}`;
const RTL = 'تطبيق الملاحظات للجميع (ניסיון)';
const SCOPES = 'files:read files:write ' + 'organization:administration:everything-'.repeat(4);

const checks = {
  async 'a login ends at the client, which is told nothing more'() {
    const client_id = await register();
    await fresh({}, async (page, context) => {
      const { url, state } = request(client_id);
      await page.goto(url);
      await login(page, 'alice', 'wrong');
      await says(page, 'Name or password is wrong');
      await login(page);
      await says(page, 'Allow access?');
      const cookies = await context.cookies();
      assert.deepEqual(cookies.map(({ name }) => name).sort(), ['mcp-oauth', 'session']);
      for (const { name, httpOnly, sameSite, path, domain, expires } of cookies) {
        const flags = { httpOnly, sameSite, path, domain, expires };
        const wanted = { httpOnly: true, sameSite: 'Lax', path: '/', domain: '127.0.0.1', expires: -1 };
        assert.deepEqual(flags, wanted, name);
      }
      await allow(page).click();
      await back(page);
      const [answer, ...others] = answers(state);
      assert.equal(others.length, 0);
      assert.equal(answer.parameters.get('iss'), issuer);
      assert.equal(answer.headers.referer, undefined);
      assert.equal(await redeem(client_id, answer.parameters.get('code')), 200);
    });
  },

  async 'no is no'() {
    const client_id = await register();
    await fresh({}, async (page) => {
      const { url, state } = request(client_id);
      await page.goto(url);
      await login(page);
      await deny(page).click();
      await back(page);
      const [{ parameters, headers }] = answers(state);
      assert.equal(parameters.get('error'), 'access_denied');
      assert.equal(parameters.get('code'), null);
      assert.equal(headers.referer, undefined);
    });
  },

  async 'the keyboard is enough'() {
    const client_id = await register();
    await fresh({}, async (page) => {
      const { url, state } = request(client_id);
      await page.goto(url);
      const press = async (...keys) => {
        for (const key of keys) await page.keyboard.press(key);
      };
      await press('Tab');
      await page.keyboard.type('alice');
      await press('Tab');
      await page.keyboard.type('correct horse');
      await press('Enter');
      await says(page, 'Allow access?');
      // What is reached first says no; what has the focus shows it.
      await press('Tab');
      const focused = () => page.evaluate(() => {
        const style = getComputedStyle(document.activeElement);
        return [document.activeElement.textContent, style.outlineStyle];
      });
      assert.deepEqual(await focused(), ['Deny', 'solid']);
      await press('Tab');
      assert.deepEqual(await focused(), ['Allow', 'solid']);
      await press('Enter');
      await back(page);
      assert.notEqual(answers(state)[0].parameters.get('code'), null);
    });
  },

  async 'no script is needed'() {
    const client_id = await register();
    await fresh({ javaScriptEnabled: false }, async (page) => {
      const { url, state } = request(client_id);
      await page.goto(url);
      await login(page);
      await allow(page).click();
      await back(page);
      assert.equal(answers(state).length, 1);
    });
  },

  async 'two quick clicks give one code'() {
    const client_id = await register();
    await fresh({}, async (page) => {
      const { url, state } = request(client_id);
      await page.goto(url);
      await login(page);
      await allow(page).dblclick();
      // The second click may break off the navigation of the first.
      await Promise.any([back(page), says(page, 'answered before')]);
      const codes = answers(state).map(({ parameters }) => parameters.get('code'));
      assert.ok(new Set(codes).size <= 1, 'one code');
    });
  },

  async 'a form that is posted twice is answered once'() {
    const client_id = await register();
    await fresh({}, async (page, context) => {
      await page.goto(request(client_id).url);
      await login(page);
      const transaction = await page.locator('[name=transaction]').getAttribute('value');
      const post = () => context.request.post(`${issuer}/authorize/consent`, {
        form: { transaction, decision: 'allow' }, maxRedirects: 0,
      });
      assert.equal((await post()).status(), 303);
      const again = await post();
      assert.equal(again.status(), 400);
      assert.equal(again.headers().location, undefined);
    });
  },

  async 'who goes back and answers again is asked anew'() {
    const client_id = await register();
    await fresh({}, async (page) => {
      const { url, state } = request(client_id);
      await page.goto(url);
      await login(page);
      const transaction = () => page.locator('[name=transaction]').getAttribute('value');
      const first = await transaction();
      await allow(page).click();
      await back(page);
      await page.goBack();
      await says(page, 'Allow access?');
      assert.notEqual(await transaction(), first, 'the page was not kept');
      await allow(page).click();
      await back(page);
      const codes = answers(state).map(({ parameters }) => parameters.get('code'));
      assert.equal(new Set(codes).size, 2);
    });
  },

  async 'two tabs are two questions'() {
    const client_id = await register();
    await fresh({}, async (page, context) => {
      const [one, two] = [request(client_id), request(client_id)];
      await page.goto(one.url);
      await login(page);
      await says(page, 'Allow access?');
      const other = await context.newPage();
      await other.goto(two.url);
      await deny(other).click();
      await back(other);
      await allow(page).click();
      await back(page);
      assert.equal(answers(two.state)[0].parameters.get('error'), 'access_denied');
      assert.notEqual(answers(one.state)[0].parameters.get('code'), null);
    });
  },

  async 'a page is not answered by the user who came after'() {
    const client_id = await register();
    await fresh({}, async (page, context) => {
      const { url, state } = request(client_id);
      await page.goto(url);
      await login(page, 'alice');
      await says(page, 'Allow access?');
      const of = (cookies, wanted) => cookies.find(({ name }) => name === wanted).value;
      const before = await context.cookies();
      await context.clearCookies({ name: 'session' });
      const other = await context.newPage();
      await other.goto(request(client_id).url);
      await login(other, 'bob');
      await says(other, 'Allow access?');
      const after = await context.cookies();
      for (const name of ['session', 'mcp-oauth']) assert.notEqual(of(after, name), of(before, name));
      await allow(page).click();
      await says(page, 'the person that were asked');
      assert.equal(answers(state).length, 0);
    });
  },

  async 'a callback may lead on to another host'() {
    const client_id = await register({ redirect_uris: [`${site}/on`] });
    await fresh({}, async (page) => {
      const { url, state } = request(client_id, { redirect_uri: `${site}/on` });
      hops.set('/on', `${elsewhere}/done?state=${state}`);
      await page.goto(url);
      await login(page);
      await allow(page).click();
      await page.waitForURL(`${elsewhere}/done?**`);
      assert.equal(answers(state).length, 1);
    });
  },

  async 'a callback may lead on to an application'() {
    const client_id = await register({ redirect_uris: [`${site}/app`] });
    await fresh({}, async (page) => {
      const { url, state } = request(client_id, { redirect_uri: `${site}/app` });
      hops.set('/app', 'com.example.app://settings/connectors');
      await page.goto(url);
      await login(page);
      // The browser hands the address to the system, where nothing takes it here.
      const left = page.waitForEvent('requestfailed', (sent) => sent.url().startsWith('com.example.app:'));
      await allow(page).click({ noWaitAfter: true });
      await left;
      assert.equal(answers(state).length, 1);
    });
  },

  async 'who agreed before goes on right after the login, and who never did by a link'() {
    const redirect_uri = 'https://notes.example/cb';
    // Of a public client the user would be asked again.
    const confidential = { token_endpoint_auth_method: 'client_secret_post' };
    const client_id = await register({ redirect_uris: [redirect_uri], ...confidential });
    const other_id = await register({ redirect_uris: [redirect_uri] });
    await fresh({}, async (page, context) => {
      // That host is nowhere: what counts is that the browser went for it.
      const leaves = async (tab, act) => {
        const [sent] = await Promise.all([tab.waitForRequest(`${redirect_uri}?**`), act()]);
        assert.equal(sent.headers().referer, undefined);
        return new URL(sent.url()).searchParams;
      };
      await page.goto(request(client_id, { redirect_uri }).url);
      await login(page);
      const first = await leaves(page, () => allow(page).click({ noWaitAfter: true }));
      await context.clearCookies({ name: 'session' });
      const again = await context.newPage();
      const { url, state } = request(client_id, { redirect_uri });
      await again.goto(url);
      const second = await leaves(again, () => login(again));
      assert.equal(second.get('state'), state);
      assert.notEqual(second.get('code'), first.get('code'));

      const other = await context.newPage();
      const silent = request(other_id, { redirect_uri, prompt: 'none' });
      assert.equal((await other.goto(silent.url)).status(), 400);
      const error = await leaves(other, () => other.getByRole('link').click({ noWaitAfter: true }));
      assert.equal(error.get('error'), 'consent_required');
      assert.equal(error.get('state'), silent.state);
    });
  },

  async 'another page can neither frame it nor post to it'() {
    const client_id = await register();
    await fresh({}, async (page, context) => {
      const { url, state } = request(client_id);
      await page.goto(url);
      await login(page);
      await says(page, 'Allow access?');
      const transaction = await page.locator('[name=transaction]').getAttribute('value');
      const other = await context.newPage();
      // Ports do not part sites: this page's requests carry every cookie.
      const error = `${issuer}/authorize?client_id=nobody`;
      for (const framed of [url, error, `${issuer}/login?to=/`]) {
        pages.set('/frame', `<!doctype html><iframe src="${framed.replaceAll('&', '&amp;')}"></iframe>`);
        await other.goto(`${site}/frame`);
        const frame = other.frames()[1];
        await frame.waitForURL('chrome-error://**');
        assert.equal((await frame.content()).includes('<main'), false);
      }
      violations.length = 0;
      pages.set('/forge', `<!doctype html><form method="post" action="${issuer}/authorize/consent">
        <input name="transaction" value="${transaction}"><input name="decision" value="allow"><button>Go</button></form>`);
      await other.goto(`${site}/forge`);
      await other.getByRole('button').click();
      await says(other, 'the person that were asked');
      assert.equal(answers(state).length, 0);
      await allow(page).click();
      await back(page);
      assert.equal(answers(state).length, 1);
    });
  },

  async 'names of strangers stay within their place'() {
    const client_id = await register({ client_name: HOSTILE });
    await fresh({}, async (page) => {
      await page.goto(request(client_id).url);
      await login(page);
      const name = page.locator('dd bdi');
      assert.equal(await name.textContent(), 'emosewa <b>Claude</b> by Example. You already allowed this');
      assert.equal(await page.locator('h1').textContent(), 'Allow access?');
    });
  },

  async 'every page is readable, on a phone and in the dark'() {
    await mkdir(pictures, { recursive: true });
    const local = await register();
    const notes = { redirect_uri: 'https://notes.example/cb' };
    const web = await register({ redirect_uris: [notes.redirect_uri] });
    const long = await register({ client_name: LONG });
    const rtl = await register({ client_name: RTL });
    const hostile = await register({ client_name: HOSTILE });
    const scope = SCOPES.trim();
    const shown = {
      consent: request(web, notes).url,
      published: request('https://client.example/oauth.json', notes).url,
      warning: request(local).url,
      long: request(long, { scope }).url,
      rtl: request(rtl).url,
      hostile: request(hostile).url,
      unknown: `${issuer}/authorize?client_id=nobody`,
      silent: request(web, { ...notes, prompt: 'none' }).url,
    };
    for (const colorScheme of ['light', 'dark']) {
      for (const [screen, viewport] of Object.entries({ phone: PHONE, desktop: DESKTOP })) {
        await fresh({ colorScheme, viewport }, async (page) => {
          const look = async (name) => {
            const wide = await page.evaluate(() => document.documentElement.scrollWidth);
            assert.ok(wide <= viewport.width, `${name} is ${wide} wide on a ${screen}`);
            const path = `${pictures}/${name}-${screen}-${colorScheme}.png`;
            await page.screenshot({ path, fullPage: true });
            await accessible(page, `${name} ${screen} ${colorScheme}`);
          };
          await page.goto(shown.consent);
          await page.getByRole('heading', { name: 'Log in' }).waitFor();
          await look('login');
          await login(page);
          await says(page, 'Allow access?');
          for (const [name, url] of Object.entries(shown)) {
            await page.goto(url);
            await look(name);
          }
        });
      }
    }
  },
};

let failed = 0;
try {
  for (const [name, check] of Object.entries(checks)) {
    const start = performance.now();
    try {
      violations.length = 0;
      await check();
      assert.deepEqual(violations, [], 'pages break no policy of their own');
      console.log(`ok      ${name} (${Math.round(performance.now() - start)} ms)`);
    } catch (error) {
      failed += 1;
      console.log(`FAILED  ${name}\n${error.stack}`);
    }
  }
} finally {
  await browser.close();
  for (const server of [client, other]) {
    server.closeAllConnections();
    server.close();
  }
  served.kill();
}
console.log(`${Object.keys(checks).length - failed} passed, ${failed} failed`);
process.exitCode = failed === 0 ? 0 : 1;
