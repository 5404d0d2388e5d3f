import { get, remove } from '../api.ts'

/** A shell that goes on in tmux on the server. `terminal_id` is the terminal that shows it now, if any. */
export interface KeptTerminal {
  id: string
  connection_id: string
  name: string
  state: 'kept' | 'ended'
  end_reason: string | null
  created_at: string
  session_id: string | null
  terminal_id: string | null
}

export const listKeptTerminals = async (connectionId: string) =>
  (await get<{ kept_terminals: KeptTerminal[] }>(`/connections/${connectionId}/kept-terminals`)).kept_terminals
export const endKeptTerminal = async (connectionId: string, id: string) =>
  (await remove<{ kept_terminal: KeptTerminal }>(`/connections/${connectionId}/kept-terminals/${id}`)).kept_terminal
