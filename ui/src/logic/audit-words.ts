/** "connection.tested" → "Connection tested". Actions come from the box; new ones must read well too. */
export function actionWords(action: string): string {
  const words = action.replace(/[._]/g, ' ').trim()
  return words.charAt(0).toUpperCase() + words.slice(1)
}

/** Who did it: this account is "you", others keep what the box calls them. */
export function actorWords(actor: string, me: string | undefined): string {
  const [kind, id] = actor.split(':')
  if (!id) return actor
  return id === me ? 'you' : `${kind} ${id.slice(-6)}`
}

/** The details of an entry as short "name: value" pairs; what is empty is left out. */
export function detailPairs(detail: Record<string, unknown>): [string, string][] {
  return Object.entries(detail)
    .filter(([, value]) => value !== null && value !== '' && value !== undefined)
    .map(([name, value]) => [name.replaceAll('_', ' '), typeof value === 'object' ? JSON.stringify(value) : String(value)])
}
