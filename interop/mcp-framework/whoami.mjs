import { MCPTool, getRequestContext } from 'mcp-framework';
import { z } from 'zod';

export default class WhoAmI extends MCPTool {
  name = 'whoami';
  description = 'Who is asking';
  schema = z.object({});
  async execute() { return getRequestContext().sub; }
}
