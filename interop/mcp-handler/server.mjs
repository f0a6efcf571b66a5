// mcp-handler as its README and docs/AUTHORIZATION.md put it together: the handler, withMcpAuth with a verifier around it, and
// protectedResourceHandler for the metadata. Hono stands for the framework.
import { serve } from '@hono/node-server';
import { Hono } from 'hono';
import { createRemoteJWKSet, jwtVerify } from 'jose';
import { createMcpHandler, metadataCorsOptionsRequestHandler, protectedResourceHandler, withMcpAuth } from 'mcp-handler';

const issuer = 'http://127.0.0.1:9400';
const resource = 'http://127.0.0.1:9351/mcp';
const keys = createRemoteJWKSet(new URL(issuer + '/jwks'), { cooldownDuration: 100, cacheMaxAge: 1000 });

const handler = createMcpHandler((server) => {
  server.registerTool('whoami', { description: 'Tells who the caller is' }, (ctx) => ({
    content: [{ type: 'text', text: String(ctx.http?.authInfo?.extra?.sub) }],
  }));
});

const verifyToken = async (req, bearerToken) => {
  if (!bearerToken) return undefined;
  const { payload } = await jwtVerify(bearerToken, keys, { issuer, audience: resource, requiredClaims: ['exp', 'sub'] });
  return { token: bearerToken, clientId: payload.client_id, scopes: (payload.scope ?? '').split(' '), expiresAt: payload.exp, extra: { sub: payload.sub } };
};
const authHandler = withMcpAuth(handler, verifyToken, {
  required: true, requiredScopes: ['notes:read'], resourceMetadataPath: '/.well-known/oauth-protected-resource/mcp',
});

const app = new Hono();
app.all('/mcp', (c) => authHandler(c.req.raw));
const metadata = protectedResourceHandler({ authServerUrls: [issuer] });
app.get('/.well-known/oauth-protected-resource/mcp', (c) => metadata(c.req.raw));
app.options('/.well-known/oauth-protected-resource/mcp', metadataCorsOptionsRequestHandler());
serve({ fetch: app.fetch, port: 9351, hostname: '127.0.0.1' });
