import { formatAddress } from './format-address.ts';

export function Address({ address, className = '' }: { address: string; className?: string }) {
  return (
    <span className={`figures whitespace-nowrap ${className}`} title={address}>
      {formatAddress(address)}
    </span>
  );
}
