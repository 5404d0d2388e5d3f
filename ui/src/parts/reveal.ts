import type { Attachment } from 'svelte/attachments'

/** Brings what just appeared into view, so that nobody looks for it below the fold. */
export const reveal: Attachment<HTMLElement> = (element) => {
  const smooth = !matchMedia('(prefers-reduced-motion: reduce)').matches
  requestAnimationFrame(() => element.scrollIntoView({ block: 'center', behavior: smooth ? 'smooth' : 'auto' }))
}
