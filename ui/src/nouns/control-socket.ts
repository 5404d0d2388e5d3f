import { get, patch } from '../api.ts'

export interface ControlPolicy {
  exec: boolean
  pty: boolean
  forward: boolean
  proxy: boolean
  exit: boolean
}

/** How programs on the box's own machine use a connection's sessions. `command` is null where the box offers that not. */
export interface ControlSocket {
  path: string | null
  command: string | null
  listening: boolean
  policy: ControlPolicy
}

const at = (id: string) => `/connections/${id}/control-socket`

export const readControlSocket = async (id: string) =>
  (await get<{ control_socket: ControlSocket }>(at(id))).control_socket
export const changeControlPolicy = async (id: string, change: Partial<ControlPolicy>) =>
  (await patch<{ control_socket: ControlSocket }>(at(id), change)).control_socket
