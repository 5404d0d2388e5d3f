import { Problem } from '../api.ts'
import { keyBytes, pushStanding, type Push } from '../logic/notify-words.ts'
import { deviceName } from '../logic/pairing.ts'
import { addChannel, readVapidKey, type NotifyKind } from '../nouns/notifications.ts'
import { go } from './router.svelte.ts'

/** What is in the way of notifications on this device, or nothing. */
export function pushHere(): Push {
  // An iPad calls itself a Mac, but has fingers.
  const ios = /iPhone|iPad|iPod/.test(navigator.userAgent) || (navigator.userAgent.includes('Mac') && navigator.maxTouchPoints > 1)
  return pushStanding({
    secure: isSecureContext,
    push: 'serviceWorker' in navigator && 'PushManager' in window && 'Notification' in window,
    permission: 'Notification' in window ? Notification.permission : null,
    ios,
    standalone: matchMedia('(display-mode: standalone)').matches,
  })
}

/** Asks the person, then the browser's push service, then tells the box. From a tap, or browsers refuse to ask. */
export async function turnOn(kinds: NotifyKind[]) {
  if ((await Notification.requestPermission()) !== 'granted') {
    throw new Problem(0, 'not_allowed', 'This browser was not allowed to show notifications.')
  }
  const worker = await navigator.serviceWorker.register('/sw.js')
  await navigator.serviceWorker.ready
  const { endpoint, keys } = (await subscription(worker)).toJSON()
  const webpush = { endpoint: endpoint ?? '', p256dh: keys?.p256dh ?? '', auth: keys?.auth ?? '' }
  return (await addChannel({ label: deviceName(navigator.userAgent), kinds, webpush })).channel
}

async function subscription(worker: ServiceWorkerRegistration): Promise<PushSubscription> {
  const applicationServerKey = keyBytes(await readVapidKey())
  try {
    // One that another box at this address had made would not take a new key.
    await (await worker.pushManager.getSubscription())?.unsubscribe()
    return await worker.pushManager.subscribe({ userVisibleOnly: true, applicationServerKey })
  } catch {
    throw new Problem(0, 'no_push_service', 'This browser could not reach its push service. Check that the device is online, then try again.')
  }
}

export async function turnOff(): Promise<void> {
  const worker = await navigator.serviceWorker?.getRegistration()
  await (await worker?.pushManager.getSubscription())?.unsubscribe()
}

/** A tap on a notification leads this page there, when one is open. */
export function followTaps(): () => void {
  const heard = (event: MessageEvent) => {
    const said = event.data as { type?: string; path?: string } | null
    if (said?.type === 'open' && said.path?.startsWith('/') && !said.path.startsWith('//')) go(said.path)
  }
  navigator.serviceWorker?.addEventListener('message', heard)
  return () => navigator.serviceWorker?.removeEventListener('message', heard)
}
