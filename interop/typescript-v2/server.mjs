// A protected MCP server from the TypeScript SDK v2's published parts: its bearer-token middleware, its metadata router and
// its streamable HTTP handler on both wires. It trusts our fake authorization server.
import { createMcpExpressApp, getOAuthProtectedResourceMetadataUrl, mcpAuthMetadataRouter, requireBearerAuth } from '@modelcontextprotocol/express';
import { McpServer } from '@modelcontextprotocol/server';
import * as parts from '@modelcontextprotocol/server';
import { toNodeHandler } from '@modelcontextprotocol/node';
import { createRemoteJWKSet, jwtVerify } from 'jose';

const issuer = 'http://127.0.0.1:9400';
const resource = new URL('http://127.0.0.1:9330/mcp');
// By default jose asks for keys once in 30 s.
const keys = createRemoteJWKSet(new URL(issuer + '/jwks'), process.argv[2] === 'default-keys' ? {} : { cooldownDuration: 100, cacheMaxAge: 1000 });

const verifier = {
  async verifyAccessToken(token) {
    try {
      const { payload } = await jwtVerify(token, keys, { issuer, audience: resource.href, requiredClaims: ['exp', 'sub'] });
      return { token, clientId: payload.client_id, scopes: (payload.scope ?? '').split(' '), expiresAt: payload.exp, extra: { sub: payload.sub } };
    } catch (e) {
      throw new parts.OAuthError(parts.OAuthErrorCode.InvalidToken, e.message);
    }
  },
};

const app = createMcpExpressApp({ host: '127.0.0.1' });
app.use(mcpAuthMetadataRouter({
  oauthMetadata: { issuer, authorization_endpoint: issuer + '/authorize', token_endpoint: issuer + '/token', response_types_supported: ['code'], code_challenge_methods_supported: ['S256'] },
  resourceServerUrl: resource, scopesSupported: ['notes:read'],
}));
const make = () => {
  const server = new McpServer({ name: 'notes', version: '1' });
  server.registerTool('whoami', { description: 'Tells who the caller is' }, (ctx) => ({ content: [{ type: 'text', text: String(ctx.http?.authInfo?.extra?.sub ?? ctx.authInfo?.extra?.sub) }] }));
  return server;
};
const handler = toNodeHandler(parts.createMcpHandler(make));
app.all('/mcp', requireBearerAuth({ verifier, resourceMetadataUrl: getOAuthProtectedResourceMetadataUrl(resource) }), (req, res) => handler(req, res, req.body));
app.listen(9330, '127.0.0.1');
