// A resource server that asks nobody about a token: it fetches the token's status list, as draft-ietf-oauth-status-list
// section 8.3 says, by @sd-jwt/jwt-status-list and jose. Arguments: the issuer. A token on each line of the input is
// answered with a line.
import { createInterface } from 'node:readline'
import { getListFromStatusListJWT, getStatusListFromJWT } from '@sd-jwt/jwt-status-list'
import { createRemoteJWKSet, jwtVerify } from 'jose'

const [issuer] = process.argv.slice(2)
const metadata = await (await fetch(`${issuer}/.well-known/oauth-authorization-server`)).json()
const keys = createRemoteJWKSet(new URL(metadata.jwks_uri))

for await (const token of createInterface({ input: process.stdin })) {
  await jwtVerify(token, keys, { issuer, typ: 'at+jwt' })
  const { uri, idx } = getStatusListFromJWT(token)
  const answer = await fetch(uri, { headers: { accept: 'application/statuslist+jwt' } })
  const list = await answer.text()
  const { payload } = await jwtVerify(list, keys, {
    issuer, subject: uri, typ: 'statuslist+jwt', requiredClaims: ['iat', 'exp', 'ttl', 'status_list'],
  })
  const { status_lists } = await (await fetch(metadata.status_list_aggregation_endpoint)).json()
  process.stdout.write(JSON.stringify({
    status: getListFromStatusListJWT(list).getStatus(idx),
    type: answer.headers.get('content-type'),
    ttl: payload.ttl,
    aggregated: status_lists.includes(uri),
  }) + '\n')
}
