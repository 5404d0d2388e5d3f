// Shows what the box pushes, and opens the page that it is about. It keeps nothing and answers no request.
self.addEventListener('install', () => self.skipWaiting())
self.addEventListener('activate', (event) => event.waitUntil(self.clients.claim()))
self.addEventListener('push', (event) => event.waitUntil(show(event.data)))
self.addEventListener('notificationclick', (event) => {
  event.notification.close()
  event.waitUntil(open(event.notification.data?.path ?? '/'))
})

function show(data) {
  let said = {}
  try {
    said = data?.json() ?? {}
  } catch {
    // Not from this box, or cut: browsers want something to be shown all the same.
  }
  const tag = said.tag ? String(said.tag) : undefined
  return self.registration.showNotification(String(said.title ?? 'clawdbox'), {
    body: String(said.body ?? 'Something happened. Open the app to see what.'),
    icon: '/icon.svg',
    tag,
    // The same thing again replaces what stands there, and still makes itself heard.
    renotify: tag !== undefined,
    data: { path: inside(said.url) },
  })
}

/** Only ever a page of this app. */
function inside(path) {
  try {
    const url = new URL(String(path), self.location.origin)
    return url.origin === self.location.origin ? url.pathname + url.search : '/'
  } catch {
    return '/'
  }
}

async function open(path) {
  const pages = await self.clients.matchAll({ type: 'window', includeUncontrolled: true })
  const page = pages.find((one) => one.focused) ?? pages[0]
  if (!page) return self.clients.openWindow(path)
  page.postMessage({ type: 'open', path })
  return page.focus()
}
