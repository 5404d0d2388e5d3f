import type { Opening } from '../nouns/forwards.ts'

/** Opens an app in a tab of its own. The ticket goes in a form, so that it stands in no address and in no history. */
export function openApp(opening: Opening): void {
  const form = document.createElement('form')
  form.method = 'post'
  form.action = opening.url
  form.target = '_blank'
  form.rel = 'noopener noreferrer'
  form.hidden = true
  const ticket = document.createElement('input')
  ticket.type = 'hidden'
  ticket.name = 'ticket'
  ticket.value = opening.ticket
  form.append(ticket)
  document.body.append(form)
  form.submit()
  form.remove()
}
