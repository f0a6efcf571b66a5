// Runs the Worker in workerd, by miniflare, with a key-value store in memory.
import { Miniflare } from 'miniflare';

const { ALICE_PASSWORD, BOB_PASSWORD } = process.env;
const worker = new Miniflare({
  host: '127.0.0.1', port: 9440, modules: true, scriptPath: 'worker.js', compatibilityDate: '2026-07-28', compatibilityFlags: ['global_fetch_strictly_public'],
  kvNamespaces: ['OAUTH_KV'], bindings: { ALICE_PASSWORD, BOB_PASSWORD }, cf: false,
});
console.log('MCP endpoint', String(await worker.ready) + 'mcp');
process.on('SIGTERM', async () => { await worker.dispose(); process.exit(); });
