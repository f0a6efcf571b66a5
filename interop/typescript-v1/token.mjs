// Gets an access token from the example's demonstration authorization server, which approves every request
// without a login: registration, authorization with PKCE, token.
import { createHash, randomBytes } from 'node:crypto';

const issuer = process.argv[2] ?? 'http://localhost:3301/';
const resource = process.argv[3] ?? 'http://localhost:3300/mcp';
const meta = await (await fetch(new URL('/.well-known/oauth-authorization-server', issuer))).json();
const redirect_uri = 'http://127.0.0.1:8765/callback';
const post = (url, body, type) => fetch(url, { method: 'POST', headers: { 'content-type': type }, body });
const client = await (await post(meta.registration_endpoint, JSON.stringify({
  client_name: 'mcpauth interop', redirect_uris: [redirect_uri], token_endpoint_auth_method: 'none',
  grant_types: ['authorization_code'], response_types: ['code'],
}), 'application/json')).json();
const verifier = randomBytes(32).toString('base64url');
const authorize = new URL(meta.authorization_endpoint);
authorize.search = new URLSearchParams({
  response_type: 'code', client_id: client.client_id, redirect_uri, scope: 'mcp:tools', state: 'x', resource,
  code_challenge: createHash('sha256').update(verifier).digest('base64url'), code_challenge_method: 'S256',
});
const answer = await fetch(authorize, { redirect: 'manual' });
const code = new URL(answer.headers.get('location')).searchParams.get('code');
const token = await (await post(meta.token_endpoint, new URLSearchParams({
  grant_type: 'authorization_code', code, client_id: client.client_id, code_verifier: verifier, redirect_uri, resource,
}), 'application/x-www-form-urlencoded')).json();
console.log(token.access_token);
