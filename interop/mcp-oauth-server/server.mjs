// mcp-oauth-server as authorization server and as guard of an MCP server without sessions: dynamic registration, client ID metadata
// documents and the client credentials grant switched on, its limits of requests switched off, its storage in memory. The login and the
// consent page are a plain program, which hands the user's approval to the library.
import crypto from 'node:crypto';
import express from 'express';
import { OAuthServer, authenticateHandler, getOAuthProtectedResourceMetadataUrl, mcpAuthRouter, requireBearerAuth } from 'mcp-oauth-server';
import { McpServer } from '@modelcontextprotocol/sdk/server/mcp.js';
import { StreamableHTTPServerTransport } from '@modelcontextprotocol/sdk/server/streamableHttp.js';

const origin = 'http://127.0.0.1:9470';
const resource = new URL(origin + '/mcp');
const oauth = new OAuthServer({
  issuerUrl: new URL(origin), authorizationUrl: new URL(origin + '/consent'), resourceServerUrl: resource,
  scopesSupported: ['notes:read', 'notes:write'], grantTypes: ['authorization_code', 'refresh_token', 'client_credentials'],
  clientIdMetadataDocuments: true,
});
const passwords = new Map(['alice', 'bob', 'carol'].map((name) => [name, process.env[name.toUpperCase() + '_PASSWORD']]));
const sessions = new Map();

const text = (s) => String(s).replace(/[&<>"']/g, (c) => `&#${c.charCodeAt(0)};`);
const page = (title, body) => `<!doctype html><html lang="en"><title>${title}</title><h1>${title}</h1>${body}</html>`;
const app = express();
app.disable('x-powered-by');

const unlimited = { rateLimit: false };
app.use(mcpAuthRouter({ provider: oauth, resourceServerUrl: resource, authorizationOptions: unlimited, clientRegistrationOptions: unlimited,
  revocationOptions: unlimited, tokenOptions: unlimited }));

const pages = (req, res, next) => {
  res.set({ 'Cache-Control': 'no-store', 'X-Frame-Options': 'DENY', 'Referrer-Policy': 'no-referrer',
    'Content-Security-Policy': "default-src 'none'; frame-ancestors 'none'" });
  const id = /(?:^|; )session=([^;]+)/.exec(req.get('cookie') ?? '')?.[1];
  req.session = sessions.get(id);
  next();
};
const form = express.urlencoded({ extended: false });
const login = (to, said = '') => page('Sign in', `<p role="alert">${text(said)}</p><form method="post" action="/login">
  <label>Name <input name="username" autocomplete="username"></label> <label>Password <input name="password" type="password"></label>
  <input type="hidden" name="to" value="${text(to)}"><button>Sign in</button></form>`);
app.post('/login', pages, form, (req, res) => {
  const { username, password, to = '' } = req.body ?? {};
  if (!to.startsWith('/consent?')) return res.status(400).send(page('Error', '<p>Begin at the application.</p>'));
  if (!passwords.has(username) || passwords.get(username) !== password) return res.status(401).send(login(to, 'Wrong name or password.'));
  const id = crypto.randomUUID();
  sessions.set(id, { user: username, csrf: crypto.randomUUID() });
  res.cookie('session', id, { httpOnly: true, sameSite: 'lax' }).redirect(303, to);
});
app.get('/consent', pages, async (req, res) => {
  const q = req.query;
  const client = typeof q.client_id === 'string' ? await oauth.getClient(q.client_id).catch(() => undefined) : undefined;
  if (!client) return res.status(400).send(page('Error', '<p>The application is not known.</p>'));
  if (!req.session) return res.send(login(req.originalUrl));
  const fields = Object.entries(q).map(([k, v]) => `<input type="hidden" name="${text(k)}" value="${text(v)}">`).join('');
  res.send(page('Allow access', `<p>${text(client.client_name ?? client.client_id)}, which is at ${text(q.redirect_uri ?? '')}, wants to
  act for ${text(req.session.user)}:</p><ul>${String(q.scope ?? 'notes:read').split(' ').map((s) => `<li>${text(s)}</li>`).join('')}</ul>
  <form method="post" action="/confirm"><input type="hidden" name="csrf" value="${req.session.csrf}">${fields}<button>Allow</button>
  <button formaction="/deny">Deny</button></form>`));
});
const ours = (req, res, next) => {
  if (req.session && req.body?.csrf === req.session.csrf) return next();
  res.status(403).send(page('Error', '<p>The form is not ours.</p>'));
};
app.use('/confirm', pages, form, ours, authenticateHandler({ provider: oauth, getUser: (req) => req.session.user, ...unlimited }));
app.post('/deny', pages, form, ours, async (req, res) => {
  const client = await oauth.getClient(req.body.client_id ?? '').catch(() => undefined);
  const to = req.body.redirect_uri;
  const port = (uri) => uri.replace(/^(http:\/\/(?:127\.0\.0\.1|\[::1\]|localhost)):\d+/, '$1'); // RFC 8252 section 7.3
  if (!client?.redirect_uris.some((uri) => port(uri) === port(to))) return res.status(400).send(page('Error', '<p>Unknown.</p>'));
  const answer = new URL(to);
  answer.searchParams.set('error', 'access_denied');
  if (req.body.state) answer.searchParams.set('state', req.body.state);
  answer.searchParams.set('iss', oauth.issuerUrl.href);
  res.redirect(302, answer.href);
});

const make = (user) => {
  const server = new McpServer({ name: 'notes', version: '1' });
  server.registerTool('whoami', { description: 'Tells who the caller is' }, () => ({ content: [{ type: 'text', text: String(user) }] }));
  return server;
};
const guard = requireBearerAuth({ verifier: oauth, requiredScopes: ['notes:read'],
  resourceMetadataUrl: getOAuthProtectedResourceMetadataUrl(resource), resource });
app.all('/mcp', guard, async (req, res) => {
  if (req.method !== 'POST') return res.status(405).set('Allow', 'POST').end();
  const transport = new StreamableHTTPServerTransport({ sessionIdGenerator: undefined });
  res.on('close', () => transport.close());
  await make(req.auth.userId ?? req.auth.clientId).connect(transport);
  await transport.handleRequest(req, res);
});
app.use((error, req, res, next) => { console.error(error); if (!res.headersSent) res.status(error.status ?? 500).end(); });
app.listen(9470, '127.0.0.1', () => console.log('MCP endpoint', resource.href));
