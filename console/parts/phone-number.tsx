/** A number as people read it: North American ones in their usual shape, others in groups, what is no number as it is. */
export function formatAddress(address: string): string {
  const bare = address.replace(/^whatsapp:/, '');
  const american = /^\+1(\d{3})(\d{3})(\d{4})$/.exec(bare);
  if (american) return `+1 ${american[1]} ${american[2]} ${american[3]}`;
  const other = /^\+(\d{2})(\d{3,})$/.exec(bare);
  if (!other) return bare;
  return `+${other[1]} ${other[2]!.replace(/(\d{3})(?=\d{2,})/g, '$1 ')}`.trim();
}

export function Address({ address, className = '' }: { address: string; className?: string }) {
  return (
    <span className={`figures whitespace-nowrap ${className}`} title={address}>
      {formatAddress(address)}
    </span>
  );
}
