// MCP-Nest with its built-in authorization server, as its documentation has it, before the upstream that the target file declares: the
// provider is passport-oauth2, on which those for GitHub and Google are built. Decorators are called as functions, without TypeScript.
import 'reflect-metadata';
import { Injectable, Module } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { McpAuthJwtGuard, McpAuthModule, McpModule, McpTransportType, Tool } from '@rekog/mcp-nest';
import cookieParser from 'cookie-parser';
import OAuth2Strategy from 'passport-oauth2';

const origin = 'http://127.0.0.1:9520', upstream = 'http://127.0.0.1:9521';

class Strategy extends OAuth2Strategy {
  userProfile(token, done) {
    const { sub } = JSON.parse(Buffer.from(token.split('.')[1], 'base64url').toString());
    done(null, { id: sub, username: sub });
  }
}
const provider = {
  name: 'upstream',
  strategy: Strategy,
  strategyOptions: ({ serverUrl, clientId, clientSecret }) => ({ authorizationURL: upstream + '/authorize', tokenURL: upstream + '/token',
    clientID: clientId, clientSecret, callbackURL: serverUrl + '/callback' }),
  profileMapper: ({ id, username }) => ({ id, username, displayName: username, raw: {} }),
};

class Tools {
  async whoami(args, context, request) { return { content: [{ type: 'text', text: request.user.sub }] }; }
}
Tool({ name: 'whoami', description: 'Who is asking' })(Tools.prototype, 'whoami',
  Object.getOwnPropertyDescriptor(Tools.prototype, 'whoami'));
Injectable()(Tools);

class App {}
Module({
  imports: [
    McpAuthModule.forRoot({ provider, clientId: 'the-mcp-server', clientSecret: process.env.UPSTREAM_SECRET, serverUrl: origin,
      jwtSecret: 'a secret of this test, with 32 characters or more', resource: origin + '/mcp',
      endpoints: { wellKnownProtectedResourceMetadata: ['/.well-known/oauth-protected-resource/mcp', '/.well-known/oauth-protected-resource'] } }),
    McpModule.forRoot({ name: 'notes', version: '1', transport: McpTransportType.STREAMABLE_HTTP, guards: [McpAuthJwtGuard],
      streamableHttp: { enableJsonResponse: true, statelessMode: true } }),
  ],
  providers: [Tools, McpAuthJwtGuard],
})(App);
const app = await NestFactory.create(App, { logger: ['warn'] });
app.use(cookieParser());
await app.listen(9520, '127.0.0.1');
