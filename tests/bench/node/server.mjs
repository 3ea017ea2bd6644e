// node-oidc-provider with everything in a Redis-compatible server: node server.mjs PORT SOCKET CLIENT SECRET
import Redis from 'ioredis';
import { Provider } from 'oidc-provider';

const [port, path, clientId, clientSecret] = process.argv.slice(2);
const redis = new Redis({ path, db: 1, enableAutoPipelining: true });

const GRANTABLE = new Set([
  'AccessToken', 'AuthorizationCode', 'RefreshToken', 'DeviceCode', 'BackchannelAuthenticationRequest',
]);

class Adapter {
  constructor(model) {
    this.model = model;
  }

  key(id) {
    return `oidc:${this.model}:${id}`;
  }

  async upsert(id, payload, expiresIn) {
    const key = this.key(id);
    const commands = [['set', key, JSON.stringify(payload), ...(expiresIn ? ['EX', expiresIn] : [])]];
    if (GRANTABLE.has(this.model) && payload.grantId) {
      commands.push(['rpush', `oidc:grant:${payload.grantId}`, key]);
      commands.push(['expire', `oidc:grant:${payload.grantId}`, expiresIn || 86400, 'GT']);
    }
    if (payload.userCode) commands.push(['set', `oidc:userCode:${payload.userCode}`, id, 'EX', expiresIn]);
    if (payload.uid) commands.push(['set', `oidc:uid:${payload.uid}`, id, 'EX', expiresIn]);
    if (commands.length === 1) await redis.call(...commands[0]);
    else await redis.multi(commands).exec();
  }

  async find(id) {
    const found = await redis.get(this.key(id));
    return found ? JSON.parse(found) : undefined;
  }

  async findByUid(uid) {
    const id = await redis.get(`oidc:uid:${uid}`);
    return id ? this.find(id) : undefined;
  }

  async findByUserCode(userCode) {
    const id = await redis.get(`oidc:userCode:${userCode}`);
    return id ? this.find(id) : undefined;
  }

  async consume(id) {
    const found = await this.find(id);
    if (found) {
      await redis.set(this.key(id), JSON.stringify({ ...found, consumed: Math.floor(Date.now() / 1000) }), 'KEEPTTL');
    }
  }

  async destroy(id) {
    await redis.del(this.key(id));
  }

  async revokeByGrantId(grantId) {
    const keys = await redis.lrange(`oidc:grant:${grantId}`, 0, -1);
    await redis.del(...keys, `oidc:grant:${grantId}`);
  }
}

const provider = new Provider(`http://localhost:${port}`, {
  adapter: Adapter,
  clients: [{
    client_id: clientId,
    client_secret: clientSecret,
    grant_types: ['client_credentials'],
    response_types: [],
    redirect_uris: [],
    scope: 'profile email',
    token_endpoint_auth_method: 'client_secret_basic',
  }],
  scopes: ['profile', 'email'],
  ttl: { ClientCredentials: 86400 },
  features: {
    devInteractions: { enabled: false },
    clientCredentials: { enabled: true },
    introspection: { enabled: true, allowedPolicy: () => true },
    revocation: { enabled: true },
  },
});
provider.listen(Number(port), '127.0.0.1');
