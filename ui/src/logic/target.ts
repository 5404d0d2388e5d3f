export interface Target {
  username: string
  host: string
  port: number
}

/** Reads what people paste into a host field: `ssh -p 2222 ann@nas.lan`, `ann@nas.lan:2222`, `ssh://…`. */
export function parseTarget(text: string): Partial<Target> {
  let rest = text.trim().replace(/^ssh:\/\//, '').replace(/\/+$/, '')
  const found: Partial<Target> = {}
  if (/^ssh\s/.test(rest)) {
    rest = rest.slice(3).trim()
    const port = /(?:^|\s)-p\s*(\d{1,5})(?=\s|$)/.exec(rest)
    if (port) {
      found.port = Number(port[1])
      rest = rest.replace(port[0], ' ').trim()
    }
    rest = rest.split(/\s+/).find((word) => !word.startsWith('-')) ?? ''
  }
  const at = rest.lastIndexOf('@')
  if (at > 0) {
    found.username = rest.slice(0, at)
    rest = rest.slice(at + 1)
  }
  const port = /^(\[[^\]]+\]|[^:]+):(\d{1,5})$/.exec(rest)
  if (port) {
    found.port = Number(port[2])
    rest = port[1]!
  }
  found.host = rest.replace(/^\[(.*)\]$/, '$1')
  return found
}
