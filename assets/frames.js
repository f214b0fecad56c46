// Takes a parcel of frames from the server and leaves it where the severity handle looks for it.
export default function ({ data }) {
  if (!(data instanceof Uint8Array)) return;
  (globalThis.camlabParcels ??= []).push(data);
  globalThis.dispatchEvent(new Event("camlab-parcel"));
}
