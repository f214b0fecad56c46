// Stores a parcel of frames from the server for the severity handle.
export default function ({ data }) {
  if (!(data instanceof Uint8Array)) return;
  (globalThis.camlabParcels ??= []).push(data);
  globalThis.dispatchEvent(new Event("camlab-parcel"));
}
