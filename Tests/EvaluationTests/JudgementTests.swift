import Testing

@testable import Evaluation

@Suite struct JudgementTests {
    @Test(arguments: [
        ("Reasoning: same.\nJudgement: Yes", true), ("Judgement: yes.", true), ("Judgement: No\nJudgement: YES", true),
        ("Judgement: Yes\nJudgement: no", false), ("**Judgement:** Yes", true), ("Judgement: **Yes**", true), ("Judgement: maybe", false),
        ("Yes", nil), ("", nil), ("Judgement:", false), ("judgement: yes", true), ("Judgement:\nYes", true),
    ])
    func theLastJudgementCounts(text: String, isRight: Bool?) {
        #expect(Judgement.isRight(text) == isRight)
    }

    @Test(arguments: [
        ("Judgement: 1", Judgement.Preference.first), ("Judgement: 2.", .second), ("Judgement: Tie", .tie), ("Judgement: [[2]]", .second),
        ("Judgement: 12", nil), ("Judgement: both", nil), ("1", nil), ("Judgement: 1\nJudgement: **2**", .second),
    ])
    func aPreferenceIsRead(text: String, preference: Judgement.Preference?) {
        #expect(Judgement.preference(text) == preference)
    }

    @Test func onlyBothOrdersTogetherMakeAWinner() {
        let all: [Judgement.Preference?] = [.first, .second, .tie, nil]
        for straight in all {
            for swapped in all {
                let result = Judgement.score(straight: straight, swapped: swapped)
                switch (straight, swapped) {
                case (nil, nil): #expect(result == nil)
                case (.first, .second): #expect(result?.score == 1 && result?.isConsistent == true)
                case (.second, .first): #expect(result?.score == 0 && result?.isConsistent == true)
                case (.tie, .tie): #expect(result?.score == 0.5 && result?.isConsistent == true)
                default: #expect(result?.score == 0.5 && result?.isConsistent == false)
                }
            }
        }
    }

    @Test func valuesAreFilledInOnceAndOtherBracesStay() {
        let text = Judgement.fill(#"{a} \boxed{} {b}{c} {a"#, [(name: "a", value: "{b}"), (name: "b", value: "2")])
        #expect(text == #"{b} \boxed{} 2{c} {a"#)
        for name in ["problem", "expected_answer", "predicted_answer"] { #expect(Judgement.singlePrompt.contains("{\(name)}")) }
        for name in ["problem", "response_1", "response_2"] { #expect(Judgement.pairPrompt.contains("{\(name)}")) }
    }
}
