// A client with openid-client: private_key_jwt, PAR, PKCE, DPoP, signed requests (JAR) and signed responses (JARM).
// Arguments: the issuer, the redirect URI, and words for what is to be used: dpop, par, jar, jarm.
import { createInterface } from 'node:readline'
import * as client from 'openid-client'

const [issuer, redirect_uri, ...uses] = process.argv.slice(2)
const lines = createInterface({ input: process.stdin })[Symbol.asyncIterator]()
const ask = async (question) => {
  process.stdout.write(JSON.stringify(question) + '\n')
  return JSON.parse((await lines.next()).value)
}

const pair = await crypto.subtle.generateKey({ name: 'ECDSA', namedCurve: 'P-256' }, true, ['sign', 'verify'])
const jwk = { ...(await crypto.subtle.exportKey('jwk', pair.publicKey)), kid: 'one', use: 'sig', alg: 'ES256' }
const key = { key: pair.privateKey, kid: 'one' }
const { client_id, metadata = {} } = await ask({ keys: { keys: [jwk] } })

const config = await client.discovery(
  new URL(issuer), client_id, metadata, client.PrivateKeyJwt(key), { execute: [client.allowInsecureRequests] },
)
if (uses.includes('jarm')) client.useJwtResponseMode(config)
const DPoP = uses.includes('dpop') ? client.getDPoPHandle(config, await client.randomDPoPKeyPair('ES256')) : undefined

const pkceCodeVerifier = client.randomPKCECodeVerifier()
const expectedNonce = client.randomNonce()
const expectedState = client.randomState()
let parameters = {
  redirect_uri,
  scope: 'openid offline_access email',
  prompt: 'consent',
  code_challenge: await client.calculatePKCECodeChallenge(pkceCodeVerifier),
  code_challenge_method: 'S256',
  nonce: expectedNonce,
  state: expectedState,
}
if (uses.includes('jar')) {
  const signed = await client.buildAuthorizationUrlWithJAR(config, parameters, key)
  parameters = Object.fromEntries(signed.searchParams)
}
const url = uses.includes('par')
  ? await client.buildAuthorizationUrlWithPAR(config, parameters, { DPoP })
  : client.buildAuthorizationUrl(config, parameters)

const { arrived } = await ask({ visit: url.href })
const checks = { pkceCodeVerifier, expectedNonce, expectedState, idTokenExpected: true }
const tokens = await client.authorizationCodeGrant(config, new URL(arrived), checks, undefined, { DPoP })
const claims = tokens.claims()
const userinfo = await client.fetchUserInfo(config, tokens.access_token, claims.sub, { DPoP })
const refreshed = await client.refreshTokenGrant(config, tokens.refresh_token, undefined, { DPoP })
const seen = await client.tokenIntrospection(config, refreshed.access_token)
const machine = await client.clientCredentialsGrant(config, { scope: 'email' }, { DPoP })
await client.tokenRevocation(config, refreshed.refresh_token ?? tokens.refresh_token)
const gone = await client.tokenIntrospection(config, refreshed.access_token)

await ask({
  done: {
    visited: Object.fromEntries(url.searchParams),
    arrived: Object.fromEntries(new URL(arrived).searchParams),
    token_type: tokens.token_type,
    sub: claims.sub,
    email: userinfo.email,
    same_refresh: tokens.refresh_token === (refreshed.refresh_token ?? tokens.refresh_token),
    seen,
    machine: machine.token_type,
    gone,
  },
})
process.exit(0)
