export type PageName = 'pair' | 'home' | 'add' | 'import' | 'connection' | 'session' | 'files' | 'keys' | 'audit' | 'settings' | 'recordings' | 'recording' | 'connection-recordings' | 'session-recordings' | 'ports' | 'fleet' | 'fleet-run' | 'snippets' | 'models' | 'notifications' | 'gateways' | 'stats' | 'approvals' | 'approval' | 'conversation' | 'conversations' | 'search' | 'lost'
export interface Place {
  name: PageName
  id: string
}

const fixed: Record<string, PageName> = {
  '/': 'home', '/pair': 'pair', '/add': 'add', '/import': 'import', '/keys': 'keys', '/audit': 'audit', '/settings': 'settings',
  '/recordings': 'recordings',
  '/fleet': 'fleet', '/snippets': 'snippets', '/settings/models': 'models', '/settings/notifications': 'notifications', '/settings/gateways': 'gateways',
  '/approvals': 'approvals', '/search': 'search',
}
const withId: [RegExp, PageName][] = [
  [/^\/connections\/([\w-]+)$/, 'connection'],
  [/^\/sessions\/([\w-]+)$/, 'session'],
  [/^\/sessions\/([\w-]+)\/recordings$/, 'session-recordings'],
  [/^\/connections\/([\w-]+)\/recordings$/, 'connection-recordings'],
  [/^\/approvals\/([\w-]+)$/, 'approval'],
  [/^\/conversations\/([\w-]+)$/, 'conversation'],
  [/^\/connections\/([\w-]+)\/conversations$/, 'conversations'],
  [/^\/recordings\/([\w-]+)$/, 'recording'],
  [/^\/sessions\/([\w-]+)\/stats$/, 'stats'],
  [/^\/fleet\/([\w-]+)$/, 'fleet-run'],
  [/^\/sessions\/([\w-]+)\/ports$/, 'ports'],
  [/^\/sessions\/([\w-]+)\/files$/, 'files'],
]

/** Which page an address means. Unknown addresses are `lost`, which says so and links home. */
export function place(path: string): Place {
  const clean = path.length > 1 ? path.replace(/\/+$/, '') || '/' : '/'
  const name = fixed[clean]
  if (name) return { name, id: '' }
  for (const [pattern, page] of withId) {
    const found = pattern.exec(clean)
    if (found) return { name: page, id: found[1]! }
  }
  return { name: 'lost', id: '' }
}
