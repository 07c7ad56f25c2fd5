// What axes follow the view together: tracks of one group take the range that holds all that any of them shows.
import type { Range } from "./scale";

export interface Member {
  redraw(): void;
}

const groups = new Map<string, Map<Member, Range>>();

/** Say what a member shows now (null: nothing), and return what its whole group shows. Others are drawn anew if that changed. */
export function share(group: string, member: Member, shown: Range | null): Range | null {
  const members = groups.get(group) ?? new Map<Member, Range>();
  groups.set(group, members);
  const before = union(members);
  if (shown) members.set(member, shown);
  else members.delete(member);
  const now = union(members);
  if (now?.join() !== before?.join()) for (const other of members.keys()) if (other !== member) other.redraw();
  return now;
}

/** Take a member out of its group. */
export function leave(group: string, member: Member): void {
  if (groups.get(group)?.has(member)) share(group, member, null);
}

function union(members: Map<Member, Range>): Range | null {
  const all = [...members.values()];
  return all.length ? [Math.min(...all.map(([low]) => low)), Math.max(...all.map(([, high]) => high))] : null;
}
