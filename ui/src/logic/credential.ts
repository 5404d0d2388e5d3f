/** WebAuthn in the JSON form of its third level, for browsers that lack the conversions. */
type Json = Record<string, unknown>

export const toText = (buffer: ArrayBuffer): string =>
  btoa(String.fromCharCode(...new Uint8Array(buffer))).replace(/\+/g, '-').replace(/\//g, '_').replace(/=+$/, '')

export const fromText = (text: string): ArrayBuffer => {
  const plain = atob(text.replace(/-/g, '+').replace(/_/g, '/'))
  return Uint8Array.from(plain, (letter) => letter.charCodeAt(0)).buffer
}

const named = (list: unknown): PublicKeyCredentialDescriptor[] =>
  ((list ?? []) as Json[]).map((one) => ({ ...one, type: 'public-key', id: fromText(String(one.id)) }))

export function toCreate(options: Json): PublicKeyCredentialCreationOptions {
  const user = options.user as Json
  return {
    ...(options as unknown as PublicKeyCredentialCreationOptions),
    challenge: fromText(String(options.challenge)),
    user: { ...(user as unknown as PublicKeyCredentialUserEntity), id: fromText(String(user.id)) },
    excludeCredentials: named(options.excludeCredentials),
  }
}

export const toRequest = (options: Json): PublicKeyCredentialRequestOptions => ({
  ...(options as unknown as PublicKeyCredentialRequestOptions),
  challenge: fromText(String(options.challenge)),
  allowCredentials: named(options.allowCredentials),
})

export function toJson(credential: PublicKeyCredential): Json {
  const response = credential.response as AuthenticatorAttestationResponse & AuthenticatorAssertionResponse
  const told: Json = { clientDataJSON: toText(response.clientDataJSON) }
  if (response.attestationObject) told.attestationObject = toText(response.attestationObject)
  if (response.authenticatorData) told.authenticatorData = toText(response.authenticatorData)
  if (response.signature) told.signature = toText(response.signature)
  if (response.userHandle) told.userHandle = toText(response.userHandle)
  return { id: credential.id, rawId: toText(credential.rawId), type: credential.type, response: told }
}
