interface Linked {
  id: string
  label: string
  jump_connection_id: string | null
}

/** Every connection that has `id` somewhere on its way. */
export function through(all: Linked[], id: string): Set<string> {
  const found = new Set<string>()
  let edge = [id]
  while (edge.length) {
    edge = all.filter((c) => c.jump_connection_id && edge.includes(c.jump_connection_id) && !found.has(c.id)).map((c) => c.id)
    for (const one of edge) found.add(one)
  }
  return found
}

/** The jump hosts before a connection, the one that the box dials first. */
export function way<T extends Linked>(all: T[], connection: Linked): T[] {
  const hops: T[] = []
  let at = connection.jump_connection_id
  while (at) {
    const hop = all.find((c) => c.id === at)
    if (!hop || hops.includes(hop)) break
    hops.unshift(hop)
    at = hop.jump_connection_id
  }
  return hops
}
