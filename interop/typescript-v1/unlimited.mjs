// Takes the rate limits off the SDK's example server: node --import ./unlimited.mjs ... The limits (20
// registrations an hour, 50 token requests a quarter of an hour) are right, but leave most of a test undecided.
import { register } from 'node:module';

const javascript = (source) => 'data:text/javascript,' + encodeURIComponent(source);
const open = javascript('export const rateLimit = () => (req, res, next) => next(); export default rateLimit;');

register(javascript(`export const resolve = (specifier, context, next) =>
  specifier === 'express-rate-limit' ? { url: ${JSON.stringify(open)}, shortCircuit: true } : next(specifier, context);`));
