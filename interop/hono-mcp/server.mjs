// @hono/mcp with an authorization server elsewhere, from its README: simpleMcpAuthRouter for the metadata, bearerAuth before the
// transport. A transport and a server for each session, as the SDK's example has it.
import { serve } from '@hono/node-server';
import { bearerAuth, simpleMcpAuthRouter, StreamableHTTPTransport } from '@hono/mcp';
import { McpServer } from '@modelcontextprotocol/sdk/server/mcp.js';
import { Hono } from 'hono';
import { createRemoteJWKSet, jwtVerify } from 'jose';

const issuer = 'http://127.0.0.1:9400';
const resource = 'http://127.0.0.1:9352/mcp';
const keys = createRemoteJWKSet(new URL(issuer + '/jwks'), { cooldownDuration: 100, cacheMaxAge: 1000 });

const app = new Hono();
app.route('/', simpleMcpAuthRouter({ issuer, resourceServerUrl: new URL(resource), scopesSupported: ['notes:read'] }));
app.use('/mcp', bearerAuth({
  verifyToken: async (token, c) => {
    try {
      const { payload } = await jwtVerify(token, keys, { issuer, audience: resource, requiredClaims: ['exp', 'sub'] });
      c.set('auth', { token, clientId: payload.client_id, scopes: (payload.scope ?? '').split(' '), expiresAt: payload.exp, extra: { sub: payload.sub } });
      return true;
    } catch {
      return false;
    }
  },
}));
app.all('/mcp', async (c) => {
  const server = new McpServer({ name: 'notes', version: '1' });
  server.registerTool('whoami', { description: 'Tells who the caller is' }, ({ authInfo }) => ({
    content: [{ type: 'text', text: String(authInfo?.extra?.sub) }],
  }));
  const transport = new StreamableHTTPTransport({ sessionIdGenerator: undefined });
  await server.connect(transport);
  return transport.handleRequest(c);
});
serve({ fetch: app.fetch, port: 9352, hostname: '127.0.0.1' });
