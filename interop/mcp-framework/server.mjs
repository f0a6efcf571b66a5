// mcp-framework with its OAuthAuthProvider and its HTTP stream transport, as its README has it, trusting the issuer of the target file.
import { MCPServer, OAuthAuthProvider } from 'mcp-framework';

const issuer = 'http://127.0.0.1:9541', resource = 'http://127.0.0.1:9540/mcp';
const provider = new OAuthAuthProvider({
  authorizationServers: [issuer],
  resource,
  validation: { type: 'jwt', jwksUri: issuer + '/jwks', audience: resource, issuer },
});
const server = new MCPServer({
  name: 'notes',
  version: '1.0.0',
  basePath: process.cwd() + '/dist',
  transport: { type: 'http-stream', options: { host: '127.0.0.1', port: 9540,
    auth: { provider, endpoints: { initialize: true, messages: true } } } },
});
await server.start();
