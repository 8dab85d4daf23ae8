import { ChoiceField, SelectField } from '../../ui/field.tsx';
import { placeChoices, regionChoices, type PlaceName, type Region } from './place-words.page.tsx';

/** Tables of its own or not, and the region; a region that the kind does not have falls back to one that has it. */
export function PlaceField({
  regions,
  tier,
  value,
  onChange,
}: {
  regions: readonly Region[];
  tier: 'standard' | 'enterprise';
  value: PlaceName;
  onChange: (place: PlaceName) => void;
}) {
  const fitting = (kind: PlaceName['kind'], region: string): PlaceName => {
    const choices = regionChoices(regions, kind);
    return { kind, region: choices.some((choice) => choice.value === region) ? region : (choices[0]?.value ?? region) };
  };
  const choices = regionChoices(regions, value.kind);
  return (
    <>
      <ChoiceField
        label="Where its data lives"
        name="place"
        value={value.kind}
        choices={placeChoices(regions, tier)}
        onChange={(kind) => onChange(fitting(kind, value.region))}
      />
      {choices.length > 1 ? (
        <SelectField
          label="Region"
          help="As the customer chose it. Rows, files of evidence and the log live there and nowhere else."
          value={value.region}
          choices={choices}
          onChange={(region) => onChange({ ...value, region })}
        />
      ) : (
        <p className="muted">Region: {choices[0]?.label ?? value.region}</p>
      )}
    </>
  );
}
