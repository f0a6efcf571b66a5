// better-auth's MCP plugin as authorization server and guard of an MCP server without sessions: dynamic registration switched on,
// email and password for users, everything else as shipped. The login and consent pages, which an application brings itself, are
// forms that are sent on to better-auth with the browser's own header fields.
import express from 'express';
import { betterAuth } from 'better-auth';
import { memoryAdapter } from 'better-auth/adapters/memory';
import { jwt } from 'better-auth/plugins';
import { mcp, requireMcpAuth } from '@better-auth/mcp';
import { McpServer } from '@modelcontextprotocol/sdk/server/mcp.js';
import { WebStandardStreamableHTTPServerTransport } from '@modelcontextprotocol/sdk/server/webStandardStreamableHttp.js';

const origin = 'http://127.0.0.1:9380';
const resource = origin + '/mcp';

const tables = ['user', 'session', 'account', 'verification', 'jwks', 'oauthClient', 'oauthResource', 'oauthClientResource',
  'oauthAccessToken', 'oauthRefreshToken', 'oauthConsent', 'oauthClientAssertion', 'rateLimit'];
const auth = betterAuth({
  baseURL: origin,
  basePath: '/api/auth',
  secret: 'only for tests, and longer than 32 characters',
  database: memoryAdapter(Object.fromEntries(tables.map((name) => [name, []]))),
  emailAndPassword: { enabled: true },
  rateLimit: { enabled: process.env.RATE_LIMIT === '1' },
  telemetry: { enabled: false },
  plugins: [
    jwt(),
    mcp({
      loginPage: '/sign-in', consentPage: '/consent', resource,
      scopes: ['openid', 'profile', 'email', 'offline_access', 'notes:read'],
      allowDynamicClientRegistration: true, allowUnauthenticatedClientRegistration: true,
    }),
  ],
});
for (const name of ['alice', 'bob', 'carol']) {
  await auth.api.signUpEmail({ body: { name, email: `${name}@example.test`, password: process.env[name.toUpperCase() + '_PASSWORD'] } });
}

const text = (s) => String(s).replace(/[&<>"']/g, (c) => `&#${c.charCodeAt(0)};`);
const page = (title, body) => `<!doctype html><html lang="en"><title>${title}</title><h1>${title}</h1>${body}</html>`;
const app = express();
app.disable('x-powered-by');

// ask sends a request on to better-auth as the browser sent it, and lets the browser have its cookies.
async function ask(req, res, path, body) {
  const headers = new Headers({ 'content-type': 'application/json', accept: 'application/json' });
  for (const name of ['cookie', 'origin', 'referer', 'sec-fetch-site', 'user-agent']) if (req.get(name)) headers.set(name, req.get(name));
  const answer = await auth.handler(new Request(origin + '/api/auth' + path, { method: 'POST', headers, body: JSON.stringify(body) }));
  for (const cookie of answer.headers.getSetCookie()) res.append('Set-Cookie', cookie);
  const said = await answer.json().catch(() => ({}));
  return said.url ?? said.redirect_uri ? { to: said.url ?? said.redirect_uri } : { failed: said.message ?? said.error_description ?? said.error ?? `HTTP ${answer.status}` };
}
const queryOf = (req) => req.originalUrl.split('?')[1] ?? '';
const pages = (req, res, next) => {
  res.set({ 'Cache-Control': 'no-store', 'X-Frame-Options': 'DENY', 'Content-Security-Policy': "default-src 'none'; frame-ancestors 'none'",
    'Referrer-Policy': 'no-referrer' });
  next();
};
const login = (query, said = '') => page('Sign in', `<p role="alert">${text(said)}</p><form method="post" action="/sign-in">
  <label>Email <input name="email" type="email" autocomplete="username"></label>
  <label>Password <input name="password" type="password"></label>
  <input type="hidden" name="oauth_query" value="${text(query)}"><button>Sign in</button></form>`);
app.get('/sign-in', pages, (req, res) => res.send(login(queryOf(req))));
app.post('/sign-in', pages, express.urlencoded({ extended: false }), async (req, res) => {
  const { email, password, oauth_query } = req.body ?? {};
  const { to, failed } = await ask(req, res, '/sign-in/email', { email, password, oauth_query });
  if (to) return res.redirect(302, to);
  res.status(401).send(login(oauth_query ?? '', failed));
});
app.get('/consent', pages, async (req, res) => {
  const asked = new URLSearchParams(queryOf(req));
  const client = await auth.api.getOAuthClientPublic({ query: { client_id: asked.get('client_id') ?? '' }, headers: new Headers({ cookie: req.get('cookie') ?? '' }) }).catch(() => null);
  if (!client) return res.status(400).send(page('Error', '<p>unknown client</p>'));
  res.send(page('Allow access', `<p>${text(client.client_name ?? client.client_id)}, which is at ${text(asked.get('redirect_uri'))}, asks for:</p>
  <ul>${(asked.get('scope') ?? '').split(' ').map((s) => `<li>${text(s)}</li>`).join('')}</ul>
  <form method="post" action="/consent"><input type="hidden" name="oauth_query" value="${text(queryOf(req))}">
  <button name="accept" value="yes">Allow</button> <button name="accept" value="no">Deny</button></form>`));
});
app.post('/consent', pages, express.urlencoded({ extended: false }), async (req, res) => {
  const { to, failed } = await ask(req, res, '/oauth2/consent', { accept: req.body?.accept === 'yes', oauth_query: req.body?.oauth_query });
  if (to) return res.redirect(302, to);
  res.status(400).send(page('Error', `<p>${text(failed)}</p>`));
});

const make = (claims) => {
  const server = new McpServer({ name: 'notes', version: '1' });
  server.registerTool('whoami', { description: 'Tells who the caller is' }, () => ({ content: [{ type: 'text', text: String(claims.sub) }] }));
  return server;
};
const guarded = requireMcpAuth(auth, async (request, claims) => {
  if (request.method !== 'POST') return new Response(null, { status: 405, headers: { Allow: 'POST' } });
  const transport = new WebStandardStreamableHTTPServerTransport({ sessionIdGenerator: undefined });
  await make(claims).connect(transport);
  return transport.handleRequest(request);
}, { resource });

// toFetch serves a Fetch API handler from Express.
const toFetch = (handler) => async (req, res) => {
  const headers = new Headers();
  for (let i = 0; i < req.rawHeaders.length; i += 2) headers.append(req.rawHeaders[i], req.rawHeaders[i + 1]);
  const body = ['GET', 'HEAD'].includes(req.method) ? undefined : await new Promise((done) => { const all = []; req.on('data', (b) => all.push(b)); req.on('end', () => done(Buffer.concat(all))); });
  const answer = await handler(new Request(origin + req.originalUrl, { method: req.method, headers, body }));
  res.status(answer.status);
  answer.headers.forEach((value, name) => { if (name !== 'set-cookie') res.set(name, value); });
  for (const cookie of answer.headers.getSetCookie()) res.append('Set-Cookie', cookie);
  if (!answer.body) return res.end();
  for await (const part of answer.body) res.write(part);
  res.end();
};
app.use((req, res, next) => (['TRACE', 'CONNECT'].includes(req.method) ? res.status(501).end() : next())); // which no Request may have
app.all('/mcp', toFetch(guarded));
app.all(['/api/auth/{*rest}', '/.well-known/{*rest}'], toFetch(auth.handler));
app.use((error, req, res, next) => { console.error(error); if (!res.headersSent) res.status(error.status ?? 500).end(); });
app.listen(9380, '127.0.0.1', () => console.log('MCP endpoint', resource));
