// FastMCP for TypeScript with its generic OAuthProvider, as its README has it, before the upstream that the target file declares.
import { FastMCP, getAuthSession, OAuthProvider, requireAuth } from 'fastmcp';

const upstream = 'http://127.0.0.1:9500';
const server = new FastMCP({
  name: 'notes',
  version: '1.0.0',
  auth: new OAuthProvider({
    allowedRedirectUriPatterns: ['http://localhost:*', 'http://127.0.0.1:*', 'https://client.example/*'],
    authorizationEndpoint: upstream + '/authorize',
    baseUrl: 'http://127.0.0.1:9353',
    clientId: 'the-mcp-server',
    clientSecret: process.env.UPSTREAM_SECRET,
    scopes: ['notes:read'],
    tokenEndpoint: upstream + '/token',
  }),
});
server.addTool({
  name: 'whoami',
  description: 'Who is asking',
  canAccess: requireAuth,
  execute: async (_, { session }) => JSON.parse(Buffer.from(getAuthSession(session).accessToken.split('.')[1], 'base64url')).sub,
});
await server.start({ transportType: 'httpStream', httpStream: { port: 9353, host: '127.0.0.1' } });
