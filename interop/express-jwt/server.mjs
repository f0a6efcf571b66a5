// An MCP server without sessions in Express, as the README of express-oauth2-jwt-bearer protects an API: auth() with the issuer and the
// audience, requiredScopes() for a route. The metadata document is the SDK's.
import express from 'express';
import { auth, requiredScopes } from 'express-oauth2-jwt-bearer';
import { mcpAuthMetadataRouter } from '@modelcontextprotocol/sdk/server/auth/router.js';
import { McpServer } from '@modelcontextprotocol/sdk/server/mcp.js';
import { StreamableHTTPServerTransport } from '@modelcontextprotocol/sdk/server/streamableHttp.js';

const issuer = 'http://127.0.0.1:9400';
const resource = 'http://127.0.0.1:9350/mcp';

const make = () => {
  const server = new McpServer({ name: 'notes', version: '1' });
  server.registerTool('whoami', { description: 'Tells who the caller is' }, ({ authInfo }) => ({
    content: [{ type: 'text', text: String(authInfo.payload.sub) }],
  }));
  return server;
};

const app = express();
app.use(mcpAuthMetadataRouter({
  oauthMetadata: { issuer, authorization_endpoint: issuer + '/authorize', token_endpoint: issuer + '/token', response_types_supported: ['code'], code_challenge_methods_supported: ['S256'] },
  resourceServerUrl: new URL(resource), scopesSupported: ['notes:read'],
}));
const checkJwt = auth({ issuer, audience: resource, jwksUri: issuer + '/jwks', cacheMaxAge: 1000, cooldownDuration: 100 });
app.post('/mcp', checkJwt, requiredScopes('notes:read'), express.json(), async (req, res) => {
  const transport = new StreamableHTTPServerTransport({ sessionIdGenerator: undefined });
  res.on('close', () => transport.close());
  await make().connect(transport);
  await transport.handleRequest(req, res, req.body);
});
app.all('/mcp', checkJwt, (req, res) => res.status(405).set('Allow', 'POST').end());
app.listen(9350, '127.0.0.1');
