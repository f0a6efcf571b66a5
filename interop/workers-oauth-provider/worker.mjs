// Cloudflare's workers-oauth-provider in workerd: its authorization server and its resource server in one Worker, registration switched
// on, everything else as shipped. The login and consent pages, which an application brings itself, follow the package's documentation.
// The TypeScript SDK v2's handler is behind them, with its checks of Host and Origin in front.
import { AuthorizationError, authorizationErrorRedirect, CimdFetchError, insufficientScope, OAuthAuthorizationServer, OAuthResourceServer } from '@cloudflare/workers-oauth-provider';
import { createMcpHandler, hostHeaderValidationResponse, localhostAllowedHostnames, localhostAllowedOrigins, McpServer, originValidationResponse } from '@modelcontextprotocol/server';
import { z } from 'zod';

const origin = 'http://127.0.0.1:9440';
const resource = origin + '/mcp';
const authorizationServer = new OAuthAuthorizationServer({
  issuer: origin, resources: [resource], scopesSupported: ['notes:read', 'notes:write', 'offline_access'],
  clientRegistrationEndpoint: '/oauth/register', clientIdMetadataDocumentEnabled: true, onError: () => undefined,
});

const text = (s) => String(s).replace(/[&<>"']/g, (c) => `&#${c.charCodeAt(0)};`);
const safe = { 'Content-Type': 'text/html; charset=utf-8', 'Cache-Control': 'no-store', 'X-Frame-Options': 'DENY', 'Referrer-Policy': 'no-referrer',
  'Content-Security-Policy': "default-src 'none'; frame-ancestors 'none'" };
const page = (title, body, status = 200, more = {}) => {
  const headers = new Headers(safe);
  new Headers(more).forEach((value, name) => headers.set(name, value));
  return new Response(`<!doctype html><html lang="en"><title>${text(title)}</title><h1>${text(title)}</h1>${body}</html>`, { status, headers });
};
const cookie = (request, name) => new RegExp(`(?:^|; )${name}=([^;]*)`).exec(request.headers.get('Cookie') ?? '')?.[1] ?? '';

// The users' own sessions: a cookie, and who it is.
const sessions = new Map();
const users = (env) => ({ alice: env.ALICE_PASSWORD, bob: env.BOB_PASSWORD });
const loginPage = (next, said, status) => {
  const csrf = crypto.randomUUID();
  return page('Sign in', `<p role="alert">${text(said)}</p><form method="post" action="/login">
  <label>User <input name="username" autocomplete="username"></label> <label>Password <input name="password" type="password"></label>
  <input type="hidden" name="csrf" value="${csrf}"><input type="hidden" name="next" value="${text(next)}"><button>Sign in</button></form>`,
  status, { 'Set-Cookie': `login=${csrf}; Path=/login; HttpOnly; SameSite=Lax` });
};
async function login(request, env) {
  if (request.method === 'GET') return loginPage(new URL(request.url).search, '', 200);
  const form = new URLSearchParams(await request.text());
  const [name, next] = [form.get('username') ?? '', form.get('next') ?? ''];
  if (!next.startsWith('?')) return page('Error', '<p>Begin at the application.</p>', 400);
  if (!form.get('csrf') || form.get('csrf') !== cookie(request, 'login')) return loginPage(next, 'The page has expired', 403);
  if (!Object.hasOwn(users(env), name) || users(env)[name] !== form.get('password')) return loginPage(next, 'Wrong user or password', 401);
  const session = crypto.randomUUID();
  sessions.set(session, name);
  const headers = new Headers({ Location: '/authorize' + next, 'Cache-Control': 'no-store', 'Set-Cookie': `session=${session}; Path=/; HttpOnly; SameSite=Lax` });
  return new Response(null, { status: 302, headers });
}

const consentPage = (details, handle, headers) => page(`Allow ${details.clientName} to access your account?`,
  `<p>${details.clientDomain ? `Published by ${text(details.clientDomain)}.` : 'This app registered itself; its name is not verified.'}
  Access is sent to <b>${text(details.redirectHost)}</b>${details.redirectIsLoopback ? ', an app on your computer' : ''}.</p>
  <form method="post" action="/authorize"><input type="hidden" name="handle" value="${text(handle)}">
  ${details.scope.map((s) => `<label><input type="checkbox" name="scope" value="${text(s)}" checked> ${text(s)}</label>`).join(' ')}
  <button name="decision" value="approve">Allow</button> <button name="decision" value="deny">Deny</button></form>`, 200, headers);

// authorize is the page between parseAuthRequest and completeAuthorization.
async function authorize(request, env) {
  const oauth = authorizationServer.getOAuthApi(env);
  const user = sessions.get(cookie(request, 'session'));
  if (request.method === 'POST') return decide(request, oauth, user);
  const asked = await oauth.parseAuthRequest(request);
  if (!user) return Response.redirect(origin + '/login' + new URL(request.url).search, 302);
  const unknown = asked.scope.filter((s) => !['notes:read', 'notes:write', 'offline_access'].includes(s));
  if (unknown.length) return Response.redirect(authorizationErrorRedirect(asked, 'invalid_scope'), 302);
  const details = await oauth.describeConsent(asked);
  const consent = await oauth.beginConsent(asked);
  return consentPage(details, consent.handle, consent.headers);
}
async function decide(request, oauth, user) {
  if (!user) return page('Error', '<p>Sign in first</p>', 403);
  const form = new URLSearchParams(await request.clone().text());
  const handle = form.get('handle') ?? '';
  if (form.get('decision') !== 'approve') {
    const denied = await oauth.denyConsent(request, handle);
    return new Response(null, { status: 302, headers: denied.headers });
  }
  const approved = await oauth.approveConsent(request, handle, { scope: form.getAll('scope') });
  const { redirectTo } = await oauth.completeAuthorization({ request: approved.request, userId: user, metadata: {}, scope: approved.request.scope, props: { user } });
  approved.headers.set('Location', redirectTo);
  return new Response(null, { status: 302, headers: approved.headers });
}
const pages = (handler) => async (request, env) => {
  try {
    return await handler(request, env);
  } catch (error) {
    if (error instanceof AuthorizationError && error.redirectTo) return Response.redirect(error.redirectTo, 302);
    if (error instanceof AuthorizationError || error instanceof CimdFetchError) return page('Error', `<p>${text(error.message)}</p>`, 400);
    throw error;
  }
};

const needs = { whoami: 'notes:read', add_note: 'notes:write' };
const mcp = createMcpHandler(({ authInfo }) => {
  const server = new McpServer({ name: 'notes', version: '1' });
  server.registerTool('whoami', { description: 'Tells who the caller is' }, () => ({ content: [{ type: 'text', text: String(authInfo?.extra?.user) }] }));
  server.registerTool('add_note', { description: 'Adds a note', inputSchema: z.object({ text: z.string().max(1000).default('') }) }, () => ({ content: [{ type: 'text', text: 'added' }] }));
  return server;
});
const resourceServer = new OAuthResourceServer({
  resourceMetadata: { resource, authorization_servers: [origin] }, requiredScopes: ['notes:read'],
  validateToken: (env) => (of, token) => authorizationServer.validateToken(of, token, env),
  handler: {
    async fetch(request, env, ctx) {
      const parsedBody = request.method === 'POST' ? await request.clone().json().catch(() => undefined) : undefined;
      const called = [parsedBody].flat().filter((m) => m?.method === 'tools/call').map((m) => needs[m.params?.name]).filter(Boolean);
      const missing = ['notes:read', ...called].filter((s) => !ctx.auth.scope.includes(s));
      if (missing.length) return insufficientScope(ctx.auth, [...new Set(['notes:read', ...called])]);
      const { token, scope, clientId, expiresAt } = ctx.auth;
      return mcp.fetch(request, { authInfo: { token, clientId, scopes: scope, expiresAt, extra: ctx.props } });
    },
  },
});

export default {
  async fetch(request, env, ctx) {
    const { pathname } = new URL(request.url);
    if (pathname === '/authorize') return pages(authorize)(request, env);
    if (pathname === '/login') return pages(login)(request, env);
    if (pathname !== '/mcp' && !pathname.startsWith('/.well-known/oauth-protected-resource')) return authorizationServer.fetch(request, env, ctx);
    const rejected = hostHeaderValidationResponse(request, localhostAllowedHostnames()) ?? originValidationResponse(request, localhostAllowedOrigins());
    return rejected ?? resourceServer.fetch(request, env, ctx);
  },
};
