// A real identity provider: its address and its client's callback come as arguments, its accounts from what is typed.
import { createServer } from 'node:http'
import { createRequire } from 'node:module'
import { pathToFileURL } from 'node:url'

const [modules, callback] = process.argv.slice(2)
const require = createRequire(modules + '/')
const { default: Provider } = await import(pathToFileURL(require.resolve('oidc-provider')))

const server = createServer()
server.listen(0, '127.0.0.1', () => {
  const issuer = `http://127.0.0.1:${server.address().port}`
  const provider = new Provider(issuer, {
    clients: [{ client_id: 'clawdbox', client_secret: 'canary-oidc-secret', redirect_uris: [callback],
      grant_types: ['authorization_code', 'urn:ietf:params:oauth:grant-type:device_code'] }],
    claims: { openid: ['sub'], profile: ['name', 'preferred_username'], email: ['email', 'email_verified'] },
    features: { deviceFlow: { enabled: true }, devInteractions: { enabled: true } },
    findAccount: (_, id) => ({ accountId: id, claims: () => ({ sub: id, name: `Person ${id}`,
      preferred_username: id, email: `${id}@example.org`, email_verified: id !== 'unverified' }) }),
    cookies: { keys: ['for a test'] },
    pkce: { required: () => true },
  })
  server.on('request', provider.callback())
  console.log(`issuer ${issuer}`)
})
