// The certified oidc-provider with what it can do switched on, its own development pages, and JWT access
// tokens for the Go SDK's resource server of ../gosdk.
import Provider from 'oidc-provider';

const issuer = 'http://127.0.0.1:9320';
const resource = process.env.RESOURCE ?? 'http://127.0.0.1:9310/mcp';

// The adapter that comes with it forgets sessions after a thousand entries; a test makes more.
const entries = new Map();
const sets = new Map();
class Adapter {
  constructor(name) { this.name = name; }
  key(id) { return `${this.name}:${id}`; }
  async upsert(id, payload) {
    entries.set(this.key(id), payload);
    if (payload.uid) entries.set(`uid:${this.name}:${payload.uid}`, id);
    if (payload.grantId) sets.set(payload.grantId, (sets.get(payload.grantId) ?? new Set()).add(this.key(id)));
  }
  async find(id) { return entries.get(this.key(id)); }
  async findByUid(uid) { return this.find(entries.get(`uid:${this.name}:${uid}`)); }
  async consume(id) { const found = await this.find(id); if (found) found.consumed = Math.floor(Date.now() / 1000); }
  async destroy(id) { entries.delete(this.key(id)); }
  async revokeByGrantId(grantId) { for (const key of sets.get(grantId) ?? []) entries.delete(key); }
}

const provider = new Provider(issuer, {
  adapter: Adapter,
  features: {
    devInteractions: { enabled: true },
    registration: { enabled: true },
    registrationManagement: { enabled: true, rotateRegistrationAccessToken: false },
    revocation: { enabled: true },
    introspection: { enabled: true },
    resourceIndicators: {
      enabled: true,
      defaultResource: () => resource,
      useGrantedResource: () => true,
      getResourceServerInfo: (ctx, indicator) => {
        if (indicator !== resource) throw new (class extends Error { error = 'invalid_target'; status = 400; statusCode = 400; expose = true; })('unknown resource');
        return { scope: 'notes:read notes:write', audience: resource, accessTokenFormat: 'jwt', accessTokenTTL: 3600, jwt: { sign: { alg: 'RS256' } } };
      },
    },
  },
  scopes: ['openid', 'offline_access'],
  clientDefaults: { grant_types: ['authorization_code', 'refresh_token'] },
  rotateRefreshToken: true,
  issueRefreshToken: async (ctx, client, code) => client.grantTypeAllowed('refresh_token'),
  pkce: { required: () => true },
  cookies: { keys: ['only for tests'] },
});
provider.listen(9320, '127.0.0.1', () => console.log('issuer', issuer));
