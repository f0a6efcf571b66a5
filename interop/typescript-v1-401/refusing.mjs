// Has the SDK's example server refuse unknown tokens and codes as the SDK's handlers expect, with InvalidTokenError and InvalidGrantError in
// place of Error: 401 and 400 in place of 500, so that what lies behind this defect can be seen. node --import ./refusing.mjs ...
import { register } from 'node:module';

const hook = `const errors = 'throw new (await import(new URL("../../server/auth/errors.js", import.meta.url).href))';
const changes = {
  'simpleStreamableHttp.js': [['throw new Error(\`Invalid or expired token: \${text}\`)', errors + '.InvalidTokenError("Invalid or expired token")']],
  'demoInMemoryOAuthProvider.js': [
    ["throw new Error('Invalid authorization code')", errors + '.InvalidGrantError("Invalid authorization code")'],
    ['throw new Error(\`Authorization code was not issued', errors + '.InvalidGrantError(\`Authorization code was not issued'],
  ],
};
export const load = async (url, context, next) => {
  const loaded = await next(url, context);
  const [, name] = /\\/examples\\/server\\/([^/]+)$/.exec(url) ?? [];
  let source = String(loaded.source);
  for (const [before, after] of changes[name] ?? []) {
    if (!source.includes(before)) throw new Error('the example has changed: ' + url);
    source = source.replaceAll(before, after);
  }
  return changes[name] ? { ...loaded, source } : loaded;
};`;
register('data:text/javascript,' + encodeURIComponent(hook));
