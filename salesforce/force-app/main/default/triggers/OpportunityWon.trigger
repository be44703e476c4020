trigger OpportunityWon on Opportunity(after insert, after update) {
    OpportunityWonHandler.publish(Trigger.new, Trigger.oldMap);
}
