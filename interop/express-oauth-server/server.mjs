// @node-oauth/express-oauth-server as authorization server and as guard of an MCP server without sessions. The model, which an
// application brings itself, keeps everything in memory: tokens are opaque, refresh tokens are replaced, and an approval is
// remembered until the next login.
// The metadata, the login and the consent page are a plain program, too.
import crypto from 'node:crypto';
import express from 'express';
import OAuthServer from '@node-oauth/express-oauth-server';
import { McpServer } from '@modelcontextprotocol/sdk/server/mcp.js';
import { StreamableHTTPServerTransport } from '@modelcontextprotocol/sdk/server/streamableHttp.js';

const origin = 'http://127.0.0.1:9410';
const resource = origin + '/mcp';
const supported = ['notes:read', 'notes:write'];
const redirectUris = ['http://127.0.0.1:8765/callback'];
const grants = ['authorization_code', 'refresh_token'];
const clients = new Map([
  { id: 'notes-app', name: 'Notes', redirectUris, grants },
  { id: 'other-app', name: 'Other notes', redirectUris, grants },
  { id: 'web-app', name: 'Notes on the web', secret: process.env.CLIENT_SECRET, redirectUris, grants },
].map((c) => [c.id, c]));
const passwords = new Map(['alice', 'bob', 'carol'].map((name) => [name, process.env[name.toUpperCase() + '_PASSWORD']]));
const codes = new Map(), tokens = new Map(), refreshTokens = new Map(), sessions = new Map();

const model = {
  getClient: async (id, secret) => {
    const client = clients.get(id);
    return client && (secret === null || secret === client.secret) ? client : null;
  },
  saveAuthorizationCode: async (code, client, user) => {
    const saved = { ...code, client, user };
    codes.set(code.authorizationCode, saved);
    return saved;
  },
  getAuthorizationCode: async (code) => codes.get(code),
  revokeAuthorizationCode: async (code) => codes.delete(code.authorizationCode),
  saveToken: async (token, client, user) => {
    const saved = { ...token, client, user };
    tokens.set(token.accessToken, saved);
    if (token.refreshToken) refreshTokens.set(token.refreshToken, saved);
    return saved;
  },
  getAccessToken: async (token) => tokens.get(token),
  getRefreshToken: async (token) => refreshTokens.get(token),
  revokeToken: async (token) => refreshTokens.delete(token.refreshToken),
  validateScope: async (user, client, scope) => {
    const asked = scope?.length ? scope : ['notes:read'];
    return asked.every((s) => supported.includes(s)) ? asked : false;
  },
  verifyScope: async (token, scope) => scope.every((s) => token.scope.includes(s)),
};
const oauth = new OAuthServer({ model, requireClientAuthentication: { authorization_code: false, refresh_token: false }, allowEmptyState: true });

const text = (s) => String(s).replace(/[&<>"']/g, (c) => `&#${c.charCodeAt(0)};`);
const page = (title, body) => `<!doctype html><html lang="en"><title>${title}</title><h1>${title}</h1>${body}</html>`;
const app = express();
app.disable('x-powered-by');
app.use(express.urlencoded({ extended: false }));

const pages = (req, res, next) => {
  res.set({ 'Cache-Control': 'no-store', 'X-Frame-Options': 'DENY', 'Referrer-Policy': 'no-referrer',
    'Content-Security-Policy': "default-src 'none'; frame-ancestors 'none'" });
  const id = /(?:^|; )session=([^;]+)/.exec(req.get('cookie') ?? '')?.[1];
  req.session = sessions.get(id);
  next();
};
const approval = (q) => [q.client_id, q.scope ?? ''].join(' ');
const login = (to, said = '') => page('Sign in', `<p role="alert">${text(said)}</p><form method="post" action="/login">
  <label>Name <input name="username" autocomplete="username"></label> <label>Password <input name="password" type="password"></label>
  <input type="hidden" name="to" value="${text(to)}"><button>Sign in</button></form>`);
const consent = (session, q, to) => page('Allow access', `<p>${text(clients.get(q.client_id)?.name ?? q.client_id)}, which is at
  ${text(q.redirect_uri ?? '')}, wants to act for ${text(session.user.id)}:</p>
  <ul>${(q.scope ?? 'notes:read').split(' ').map((s) => `<li>${text(s)}</li>`).join('')}</ul><form method="post" action="${text(to)}">
  <input type="hidden" name="csrf" value="${session.csrf}"><button name="allowed" value="true">Allow</button>
  <button name="allowed" value="false">Deny</button></form>`);
app.post('/login', pages, (req, res) => {
  const { username, password, to = '' } = req.body ?? {};
  if (!to.startsWith('/authorize?')) return res.status(400).send(page('Error', '<p>Begin at the application.</p>'));
  if (!passwords.has(username) || passwords.get(username) !== password) return res.status(401).send(login(to, 'Wrong name or password.'));
  const id = crypto.randomUUID();
  sessions.set(id, { user: { id: username }, csrf: crypto.randomUUID(), approvals: new Set() }); // each login asks again
  res.cookie('session', id, { httpOnly: true, sameSite: 'lax' }).redirect(303, to);
});
const signedIn = (req, res, next) => {
  if (!req.session) return res.send(login(req.originalUrl));
  next();
};
const known = (req, res, next) => {
  const client = clients.get(req.query.client_id);
  if (client && (!req.query.redirect_uri || client.redirectUris.includes(req.query.redirect_uri))) return next();
  res.status(400).send(page('Error', '<p>The application, or its address, is not known.</p>'));
};
const decide = (req, res, next) => oauth.authorize({ authenticateHandler: { handle: () => req.session.user } })(req, res, next);
app.get('/authorize', pages, known, signedIn, (req, res, next) => {
  if (req.session.approvals.has(approval(req.query))) return decide(req, res, next);
  res.send(consent(req.session, req.query, req.originalUrl));
});
app.post('/authorize', pages, known, signedIn, (req, res, next) => {
  if (req.body?.csrf !== req.session.csrf) return res.status(403).send(page('Error', '<p>The form is not ours.</p>'));
  const allowed = req.body.allowed === 'true';
  req.body = { allowed: String(allowed) };
  if (allowed) req.session.approvals.add(approval(req.query));
  decide(req, res, next);
});
app.post('/token', oauth.token());
app.get('/.well-known/oauth-authorization-server', (req, res) => res.json({
  issuer: origin, authorization_endpoint: origin + '/authorize', token_endpoint: origin + '/token', scopes_supported: supported,
  response_types_supported: ['code'], grant_types_supported: grants, code_challenge_methods_supported: ['S256'],
  token_endpoint_auth_methods_supported: ['none', 'client_secret_basic', 'client_secret_post'],
}));
app.get('/.well-known/oauth-protected-resource/mcp', (req, res) => res.json({
  resource, authorization_servers: [origin], scopes_supported: supported, bearer_methods_supported: ['header'],
}));

const make = (user) => {
  const server = new McpServer({ name: 'notes', version: '1' });
  server.registerTool('whoami', { description: 'Tells who the caller is' }, () => ({ content: [{ type: 'text', text: user.id }] }));
  return server;
};
app.all('/mcp', oauth.authenticate({ addAcceptedScopesHeader: false, addAuthorizedScopesHeader: false }), async (req, res) => {
  if (req.method !== 'POST') return res.status(405).set('Allow', 'POST').end();
  const transport = new StreamableHTTPServerTransport({ sessionIdGenerator: undefined });
  res.on('close', () => transport.close());
  await make(res.locals.oauth.token.user).connect(transport);
  await transport.handleRequest(req, res);
});
app.use((error, req, res, next) => { console.error(error); if (!res.headersSent) res.status(error.status ?? 500).end(); });
app.listen(9410, '127.0.0.1', () => console.log('MCP endpoint', resource));
